"""The state behind a feature service, opened in Feast's online store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feast import FeatureView

from sluice.errors import FeatureError
from sluice.features.ledger import FolderLedger, LabelLedger, RedisLedger
from sluice.features.online_store import StateStore
from sluice.features.reading import Rows
from sluice.features.repository import Repository, Service
from sluice.features.state import STATE_SUFFIX, STREAMS_STATE
from sluice.features.stores import apply_online, online_config
from sluice.features.updater import LABELS, Online, Updater
from sluice.settings import UseCase
from sluice.windows.definition import EXACT


@dataclass(frozen=True)
class Opened:
    """The state behind a feature service."""

    repository: Repository
    service: Service
    store: StateStore
    parts: tuple[Online, ...]
    streams: FeatureView
    updater: Updater

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The streams that the windows are over."""
        return tuple(dict.fromkeys(online.view.stream for online in self.parts))

    def rows(self, entities: Mapping[str, Sequence[str]]) -> Rows:
        """All that requests about these entities need, read together.

        Raises:
            FeatureError: the store does not answer.
        """
        views = [(online.twin, online.view.entity) for online in self.parts]
        views += [(part.view, part.join_key) for part in self.service.joined]
        asked = [(view, list(dict.fromkeys(entities[entity]))) for view, entity in views if entity in entities]
        return self.store.read_all([*asked, (self.streams, self.stream_names)])

    @staticmethod
    def at(use_case: UseCase, repository: Repository, service: Service, folder: Path) -> Opened:
        """Open the state of a service in `folder`, and register it there where it is not yet."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = use_case.features.online
        config = online_config(service, use_case.name, settings, folder)
        store = StateStore(config, folder)
        # A server only reads: it takes no part in who may write to Redis.
        with store.folder_lock():
            apply_online(repository, config, folder)
        parts = tuple(
            Online(part, part.windows, _twin(repository, f"{part.view.name}{STATE_SUFFIX}"))
            for part in service.parts
            if part.windows is not None
        )
        streams = _twin(repository, STREAMS_STATE)
        entities = list(use_case.data.columns.entities)
        over = list(dict.fromkeys(online.view.entity for online in parts if online.view.stream == LABELS))
        ledger: LabelLedger = FolderLedger(folder, entities) if store.is_sqlite else RedisLedger(store, entities, over)
        return Opened(
            repository,
            service,
            store,
            parts,
            streams,
            Updater(store, parts, streams, ledger, settings.horizon // EXACT),
        )


def _twin(repository: Repository, name: str) -> FeatureView:
    view = repository.find(FeatureView, name)
    if view is None:
        raise FeatureError(
            f"{repository.path} defines no feature view {name}, in which its state would be online",
            "add `x_state = state_view(x, entity)` and `stream, streams_state = watermark_view()`: see the guide",
        )
    return view
