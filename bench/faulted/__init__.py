"""Faults by what they hit: runs, data, the store, training, serving. `bench/faults.py` injects them."""
