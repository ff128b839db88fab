"""Start a model server for a verified version: open the online store, listen, say where."""

from __future__ import annotations

import json
import logging
import socket
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from prometheus_client import REGISTRY, CollectorRegistry

from sluice.export.graph import Graph, Scorer
from sluice.features.online import OnlineFeatures
from sluice.features.repository import refuse_other_windows
from sluice_serving.answers import Identity
from sluice_serving.application import Server
from sluice_serving.metrics import Metrics
from sluice_serving.model import Composer, SluiceModel
from sluice_serving.version import Servable

GRACE_SECONDS = 30
"""How long requests in flight may take after SIGTERM; Kubernetes' own default."""


def serve(
    servable: Servable,
    online_folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    root: Path | None = None,
    announce: TextIO | None = None,
    pseudonym_key: bytes | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Serve a verified version until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        servable: what `load_servable` gave: digest and signature hold.
        online_folder: where tile state lies (SQLite); Redis is named by the use case.
        port: 0 takes a free one; None takes the use case's.
        root: folder that the use case's `features.repo` is relative to; default: the working directory.
        announce: one JSON line is written there when the server listens: address, model, version.
        pseudonym_key: the secret that ingest was given for hashed personal columns.

    Raises:
        FeatureError, ExportError: the online store or the graph cannot be opened, or the repository's windows are
            not the version's.
    """
    refuse_other_windows(servable.use_case, servable.document.get("windows"), root)
    online = OnlineFeatures.open(servable.use_case, online_folder, servable.schema, root=root)
    model = build_model(servable, online, clock=clock, pseudonym_key=pseudonym_key, registry=REGISTRY)
    listener = listen(host, servable.use_case.serving.port if port is None else port)
    server = Server(listener, GRACE_SECONDS)
    _quiet()
    if announce is not None:
        address = "http://{}:{}".format(*listener.getsockname()[:2])
        announce.write(json.dumps({"address": address, "model": servable.model, "version": servable.digest}) + "\n")
        announce.flush()
    server.start([model])


def build_model(
    servable: Servable,
    online: Composer,
    *,
    clock: Callable[[], datetime],
    pseudonym_key: bytes | None = None,
    registry: CollectorRegistry,
    graph: Scorer | None = None,
) -> SluiceModel:
    """The KServe model of a verified version; `graph` default: the version's own, in ONNX Runtime."""
    use_case = servable.use_case
    classes = tuple(use_case.data.labels.classes) if use_case.task == "multiclass" else ()
    identity = Identity(servable.model, servable.digest, servable.schema.names, classes)
    scorer = graph or Graph(servable.graph, threads=use_case.serving.threads)
    metrics = Metrics(identity, use_case.task, registry)
    model = SluiceModel(use_case, identity, online, scorer, metrics, clock=clock, pseudonym_key=pseudonym_key)
    model.load()
    return model


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. From here on connections wait rather than fail."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    listener.setblocking(False)
    # Accepted connections inherit it; without it an answer in two packets waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _quiet() -> None:
    """KServe logs every wrong request with its stack, uvicorn every request: metrics count them instead."""
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    logging.getLogger("kserve").setLevel(logging.WARNING)
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("sluice.serving").addHandler(logging.StreamHandler(sys.stderr))
