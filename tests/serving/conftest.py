"""The fixtures of serving_world, for every test here."""

from serving_world import deployed, endpoint, history_state, start, state, world

__all__ = ["deployed", "endpoint", "history_state", "start", "state", "world"]
