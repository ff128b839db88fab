"""The updater, which keeps tile state fresh from a stream.

`records` reads, `follower` applies, `service` runs, `health` tells, `building` puts them together.
"""
