"""State kept fresh from a stream of events and labels.

A stream has partitions, one or more for each entity; the keys of a partition are written by one updater at a time. Read
in this order: `source` (what a stream is), `redis_source` (streams in Redis), `producer` (what writes to them), `fence`
(who may write), `rebuild` (when the state is lost).
"""
