"""Rows out of Redis in one round trip, however many views and keys they are of; and rows as Redis is given them.

Feast's `online_read` goes to Redis once a view, and at each call lengthens the list of columns that it is given: kept
columns would make every question slower than the one before. So the rows are read here, in the format that Feast
documents (docs/specs/online_store_format.md) and with Feast's own functions for keys and fields: a hash an entity, in
it a field for each feature under the murmur3 of `view:feature`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import redis
from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import deserialize_entity_key, serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from sluice.features.reading import Asked, Found

USER, PASSWORD = "SLUICE_REDIS_USER", "SLUICE_REDIS_PASSWORD"
_LONGEST_WAIT = 0.2
"""Seconds between tries to reach Redis: a request waits for an answer or for an error, not for long."""
_ANSWER_WITHIN = 5.0
"""Seconds after which a Redis that hangs has not answered. It is not asked again: the next request does that."""


def connect(address: str) -> redis.Redis:
    """A client for the address of the settings (`host:port`, also `host:port,ssl=true,db=1`).

    User and password come from SLUICE_REDIS_USER and SLUICE_REDIS_PASSWORD and stay out of settings, versions and
    files. Over TLS the server's certificate has to be signed by the authority and to name the host.
    """
    nodes, options = RedisOnlineStore._parse_connection_string(address)
    given: dict[str, Any] = {
        "socket_timeout": _ANSWER_WITHIN,
        "socket_connect_timeout": _ANSWER_WITHIN,
        "username": os.environ.get(USER) or None,
        "password": os.environ.get(PASSWORD) or None,
        **options,
    }
    # A connection that broke is made anew at once.
    retry = Retry(ExponentialBackoff(_LONGEST_WAIT, _LONGEST_WAIT / 8), 3, (redis.ConnectionError,))
    return redis.Redis(host=nodes[0]["host"], port=int(nodes[0].get("port", 6379)), retry=retry, **given)


class RedisRows:
    """Reads rows of Feast's views. Not for several threads at once."""

    def __init__(self, client: redis.Redis, config: RepoConfig) -> None:
        self.client, self._config = client, config
        self._fields: dict[str, tuple[str, list[str], dict[str, bytes]]] = {}

    def read(self, asked: Asked) -> list[list[Found]]:
        """The rows of the keys of each view, None for a key that has none."""
        shapes = [self._shape(view) for view, _ in asked]
        with self.client.pipeline(transaction=False) as pipe:
            for (_, keys), (join_key, _, fields) in zip(asked, shapes, strict=True):
                for key in keys:
                    pipe.execute_command("HMGET", self._key(join_key, key), *fields.values())  # type: ignore[no-untyped-call]
            replies = iter(pipe.execute())
        return [
            [_row(names, next(replies)) for _ in keys] for (_, keys), (_, names, _) in zip(asked, shapes, strict=True)
        ]

    def key(self, view: FeatureView, key: str) -> bytes:
        """Name of the hash that holds an entity's row of a view."""
        return self._key(self._shape(view)[0], key)

    def is_ours(self, name: bytes) -> bool:
        """Whether a name is an entity's in this project, or a string of it; another project's may end as this one's."""
        project = self._config.project.encode()
        if not name.endswith(project):
            return name.startswith(project + b":")
        entity, version = name.removesuffix(project), self._config.entity_key_serialization_version
        return bool(serialize_entity_key(deserialize_entity_key(entity, version), version) == entity)

    def words(self, view: FeatureView, columns: Mapping[str, Value], version: datetime) -> list[bytes]:
        """Fields and values of a row, by turns, as Feast would write them."""
        stamp = Timestamp()
        stamp.FromDatetime(version)
        words = [f"_ts:{view.name}".encode(), stamp.SerializeToString()]
        for name, value in columns.items():
            words += [self.field(view, name), value.SerializeToString()]
        return words

    def field(self, view: FeatureView, column: str) -> bytes:
        """Name of the field that holds a column."""
        return self._shape(view)[2][column]

    def _key(self, join_key: str, key: str) -> bytes:
        entity = EntityKey(join_keys=[join_key], entity_values=[Value(string_val=key)])
        return _redis_key(self._config.project, entity, self._config.entity_key_serialization_version)

    def _shape(self, view: FeatureView) -> tuple[str, list[str], dict[str, bytes]]:
        """Join key, columns, and the fields that hold them."""
        if view.name not in self._fields:
            names = [field.name for field in view.features]
            self._fields[view.name] = (view.join_keys[0], names, {n: _mmh3(f"{view.name}:{n}") for n in names})
        return self._fields[view.name]


def _row(names: Sequence[str], values: Sequence[bytes | None]) -> Found:
    if all(value is None for value in values):
        return None
    return {name: Value.FromString(value or b"") for name, value in zip(names, values, strict=True)}
