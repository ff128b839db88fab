"""Feature rows: the windows of a Feast feature service beside request features, equal in training and serving."""
