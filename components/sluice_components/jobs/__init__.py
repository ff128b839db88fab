"""Steps whose work runs as a job of another kind: what is handed over, started, waited for and taken back."""
