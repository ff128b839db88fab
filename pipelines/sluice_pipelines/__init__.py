"""The graphs: what runs after what, on which image and node pool; compiled, run locally, or submitted."""
