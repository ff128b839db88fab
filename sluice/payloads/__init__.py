"""What KServe's payload logger sends, and who may send it: read by the ledger's receiver and by the drift server.

The drift server runs in the environment of alibi-detect: nothing here imports what is not in requirements/alibi.txt.
"""
