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
from sluice.registry.servable import Servable
from sluice_serving.answers import Identity
from sluice_serving.application import Server
from sluice_serving.composed import ComposedModel
from sluice_serving.metrics import Metrics
from sluice_serving.model import Composer, SluiceModel, silent
from sluice_serving.payloads.sending import PayloadSender
from sluice_serving.saying import Saying

_SEND_SECONDS = 5.0
"""How long what is left in the queue to the payload ledger may take."""
GRACE_SECONDS = 30
"""How long requests in flight may take after SIGTERM; Kubernetes' own default."""


def serve(
    servable: Servable,
    online_folder: Path,
    listener: Callable[[], socket.socket],
    *,
    root: Path | None = None,
    linger: float | None = None,
    announce: TextIO | None = None,
    payloads: str | None = None,
    payloads_token: str = "",
    pseudonym_key: bytes | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Serve a verified version until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        servable: what `load_servable` gave: digest and signature hold.
        online_folder: where tile state lies (SQLite); Redis is named by the use case.
        listener: gives the socket to listen on, asked for when everything else is ready.
        root: folder that the use case's `features.repo` is relative to; default: the working directory.
        linger: seconds to go on after SIGTERM, not ready but answering; None takes the use case's.
        announce: one JSON line is written there when the server listens: address, model, version.
        payloads: address of the payload ledger's receiver, which is sent what was asked and answered.
        payloads_token: names this server to it.
        pseudonym_key: the secret that ingest was given for hashed personal columns.

    Raises:
        FeatureError, ExportError: the online store or the graph cannot be opened, or the repository's windows are
            not the version's.
    """
    use_case = servable.use_case
    refuse_other_windows(use_case, servable.document.get("windows"), root)
    online = OnlineFeatures.open(use_case, online_folder, servable.schema, root=root)
    say = Saying(sys.stderr)
    model = build_model(servable, online, clock=clock, pseudonym_key=pseudonym_key, registry=REGISTRY, say=say)
    sender = _sender(servable, payloads, payloads_token) if payloads else None
    socket_ = listener()
    lingers = use_case.serving.linger.total_seconds() if linger is None else linger
    server = Server(socket_, GRACE_SECONDS, lingers, sender)
    _quiet()
    if announce is not None:
        address = "http://{}:{}".format(*socket_.getsockname()[:2])
        announce.write(json.dumps({"address": address, "model": servable.model, "version": servable.digest}) + "\n")
        announce.flush()
    server.start(model, composed_model(servable, model))
    if sender is not None:
        sender.close(_SEND_SECONDS)


def _sender(servable: Servable, address: str, token: str) -> PayloadSender:
    settings = servable.use_case.payloads
    return PayloadSender(address, servable.model, token, REGISTRY, queue_size=settings.queue, senders=settings.senders)


def build_model(
    servable: Servable,
    online: Composer,
    *,
    clock: Callable[[], datetime],
    pseudonym_key: bytes | None = None,
    registry: CollectorRegistry,
    graph: Scorer | None = None,
    say: Callable[[str], None] = silent,
) -> SluiceModel:
    """The KServe model of a verified version.

    Args:
        graph: default: the version's own, in ONNX Runtime.
        say: is told at every probe why the model is not ready, or nothing.
    """
    use_case = servable.use_case
    classes = tuple(use_case.data.labels.classes) if use_case.task == "multiclass" else ()
    identity = Identity(servable.model, servable.digest, servable.schema.names, classes)
    scorer = graph or Graph(servable.graph, threads=use_case.serving.threads)
    metrics = Metrics(identity, use_case.task, registry, servable.document.get("score_levels", ()))
    model = SluiceModel(use_case, identity, online, scorer, metrics, clock=clock, pseudonym_key=pseudonym_key, say=say)
    model.load()
    return model


def composed_model(servable: Servable, model: SluiceModel) -> ComposedModel:
    """The same version under its second name: the same graph, asked with features."""
    max_batch = servable.use_case.serving.max_batch
    return ComposedModel(model.identity, servable.schema, model.graph, model.metrics, max_batch, model.healthy)


def _quiet() -> None:
    """KServe logs every wrong request with its stack, uvicorn every request: metrics count them instead."""
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    logging.getLogger("kserve").setLevel(logging.WARNING)
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("sluice.serving").addHandler(logging.StreamHandler(sys.stderr))
