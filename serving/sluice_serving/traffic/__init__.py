"""Ways to move traffic between versions: one protocol, and the implementation for one machine."""
