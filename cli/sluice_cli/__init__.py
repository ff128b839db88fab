"""The `sluice` command: thin, one file a group of verbs."""
