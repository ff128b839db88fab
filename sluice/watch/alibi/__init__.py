"""What runs in the environment of alibi and alibi-detect (numpy 1, pydantic 1); `sluice.watch.door` leads in.

Nothing here imports what is not in requirements/alibi.txt: no settings, no registry, no Feast.
"""
