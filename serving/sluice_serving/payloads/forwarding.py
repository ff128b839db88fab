"""What is durable is handed on to a second place that wants the events, as the drift server does.

A logger sends to one address. The receiver answers it before anything is handed on, and never waits for that: what the
other side does not take in time is dropped and counted, since the ledger has it.
"""

from __future__ import annotations

from urllib.parse import quote

from sluice.payloads.events import Event
from sluice_serving.counters import CollectorRegistry, Counter
from sluice_serving.payloads.posting import Outgoing, Poster

_PLAIN = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"
"""Printable ASCII that needs no encoding in an attribute's header; `%` and `"` do."""


class Forwarder(Poster):
    """Hands events on, each once, under their own names.

    Raises:
        SettingsError: the address is none.
    """

    def __init__(self, address: str, token: str, registry: CollectorRegistry, *, queue_size: int, senders: int) -> None:
        sent = Counter("sluice_payload_forwarded", "Events handed on", registry=registry)
        lost = Counter("sluice_payload_forward_dropped", "Events not handed on", ["reason"], registry=registry)
        super().__init__(address, token, sent, lost, where="--forward", queue_size=queue_size, senders=senders)

    def offer(self, model: str, event: Event) -> None:
        """Hand it on some time; when the queue is full it is dropped, and counted."""
        attributes = {
            "Ce-Id": event.id,
            "Ce-Source": event.source,
            "Ce-Type": event.type,
            "Ce-Time": event.time.isoformat(),
            "Ce-Inferenceservicename": event.service,
            "Ce-Endpoint": event.endpoint,
        }
        named = {name: quote(value, safe=_PLAIN) for name, value in attributes.items()}
        headers = {"Content-Type": "application/json", "Ce-Specversion": "1.0", **named}
        self.put(Outgoing(model, headers, event.data))
