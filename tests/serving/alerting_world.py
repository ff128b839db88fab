"""A real Prometheus with our rules and a real Alertmanager with our routing, and a webhook that hears of alerts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from servers import alertmanager, free_port, prometheus

from tests.manifests.alerting import groups, shortened
from tests.manifests.rendered import MANIFESTS, named, overlay

FASTER = 75.0
"""What all durations of rules and routing are divided by: five minutes are four seconds."""
SCRAPED = "500ms"
ROUTING = MANIFESTS / "examples" / "alertmanager" / "alertmanager.yaml"


@dataclass
class Webhook:
    """What Alertmanager told: (receiver, alert, status), in order."""

    address: str
    heard: list[tuple[str, str, str]] = field(default_factory=list)

    def has(self, receiver: str, alert: str, status: str) -> bool:
        """Whether a receiver was told so."""
        return (receiver, alert, status) in self.heard


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver of Alertmanager's webhooks; the last part of the path is who is told."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            who = self.path.rsplit("/", 1)[-1]
            found.heard += [(who, alert["labels"]["alertname"], alert["status"]) for alert in body["alerts"]]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """What was told is in `heard`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    found = Webhook(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def watched(folder: Path, targets: Mapping[str, str], told: Webhook) -> Iterator[str]:
    """Prometheus over these targets (PodMonitor to address) and Alertmanager behind it; Prometheus's address."""
    manager = alertmanager(folder / "alertmanager", _routing(told.address))
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [_quick(group) for group in groups()]}))
    every = {"scrape_interval": SCRAPED, "scrape_timeout": SCRAPED, "evaluation_interval": SCRAPED}
    configuration = {
        "global": every,
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager.address]}]}]},
        "scrape_configs": [_scrape(name, address) for name, address in targets.items()],
    }
    server = prometheus(folder / "prometheus", configuration, free_port())
    try:
        manager.start()
        server.start()
        yield f"http://{server.address}"
    finally:
        server.kill()
        manager.kill()


def states(address: str) -> dict[str, str]:
    """The alerts that are pending or firing, by name."""
    found = httpx.get(f"{address}/api/v1/alerts").json()["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert["state"] for alert in found}


def value(address: str, expression: str) -> float | None:
    """What Prometheus says of an expression that has one series; None where it has none."""
    found = httpx.get(f"{address}/api/v1/query", params={"query": expression}).json()["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def _quick(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group of rules whose durations are shorter, and nothing else."""
    rules = [
        {key: shortened(text, FASTER) if key in ("expr", "for") else text for key, text in rule.items()}
        for rule in group["rules"]
    ]
    return {"name": group["name"], "interval": SCRAPED, "rules": rules}


def _scrape(monitor: str, address: str) -> dict[str, Any]:
    """A target as the operator would make it of the PodMonitor."""
    spec = named(overlay("standard"), "PodMonitor", monitor)["spec"]
    labels = {"namespace": "sluice", "pod": f"{monitor}-0", "container": "c", "endpoint": "e"}
    labels |= {label.replace(".", "_").replace("/", "_"): "fraud" for label in spec.get("podTargetLabels", ())}
    return {
        "job_name": f"sluice/{monitor}",
        "metrics_path": spec["podMetricsEndpoints"][0]["path"],
        "static_configs": [{"targets": [urlsplit(address).netloc], "labels": labels}],
    }


def _routing(address: str) -> dict[str, Any]:
    """The example's configuration with shorter durations and the test's receiver."""
    found: dict[str, Any] = yaml.safe_load(ROUTING.read_text())
    for route in (found["route"], *found["route"]["routes"]):
        for name in ("group_wait", "group_interval", "repeat_interval"):
            if name in route:
                route[name] = shortened(route[name], FASTER)
    for receiver in found["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = address + urlsplit(hook["url"]).path
    return found
