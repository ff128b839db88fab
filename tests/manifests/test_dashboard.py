"""Rules and dashboard name only what the servers export, and only with labels that it has."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from servers import tool

from tests.manifests.alerting import TARGET_LABELS, alerts, dashboard, exported, panel_expressions, rules
from tests.manifests.rendered import Pod, of_kind, overlay, pods
from tests.manifests.test_monitoring import FAULTS, QUIET

NAME = re.compile(r"(?<![\w:\"-])(?:sluice[\w:]*|up|ALERTS)\b(?!\s*\()")
MATCHERS = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
GROUPED = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def expressions() -> list[tuple[str, str]]:
    told = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    return told + list(panel_expressions())


def test_every_series_that_is_named_is_exported_or_recorded() -> None:
    known = {*exported(), *recorded()}
    assert len(expressions()) > 50
    for where, expression in expressions():
        named = set(NAME.findall(TEXT.sub('""', expression)))
        assert named, where
        assert named <= known, f"{where}: {named - known}"


def test_matchers_ask_for_labels_that_the_series_has() -> None:
    for where, expression in expressions():
        for name, matchers in MATCHERS.findall(expression):
            if name in exported():
                asked = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", TEXT.sub('""', matchers)))
                assert asked <= exported()[name] | TARGET_LABELS, f"{where}: {name} has no {asked}"


def test_groups_are_by_labels_that_some_series_of_the_expression_has() -> None:
    for where, expression in expressions():
        has = set(TARGET_LABELS) | {"le", "alertname"}
        for name in NAME.findall(TEXT.sub('""', expression)):
            has |= exported().get(name, set())
        grouped = {label.strip() for found in GROUPED.findall(expression) for label in found.split(",")} - {""}
        assert grouped <= has, f"{where}: {grouped - has}"


def test_what_promtool_is_given_is_what_the_servers_export() -> None:
    for name in [*QUIET, *(series for fault in FAULTS.values() for series in fault)]:
        metric, labels = name.rstrip("}").split("{", 1)
        given = set(re.findall(r"(\w+)=", TEXT.sub('""', labels)))
        assert metric in exported() and given <= exported()[metric] | TARGET_LABELS | {"le"}, name


def test_summaries_name_labels_that_the_alert_keeps() -> None:
    for name, alert in alerts().items():
        asked = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        grouped = [{label.strip() for label in found.split(",")} for found in GROUPED.findall(alert["expr"])]
        series = NAME.findall(TEXT.sub('""', alert["expr"]))
        kept = set().union(*grouped) if re.search(r"\bby\b", alert["expr"]) else exported().get(series[0], set())
        assert asked <= kept | TARGET_LABELS, f"{name}: {asked - kept}"


def test_prometheus_reads_every_panel(tmp_path: Path) -> None:
    written = [{"record": f"panel:{number}", "expr": e} for number, (_, e) in enumerate(panel_expressions())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": written}]}))
    assert f"{len(written)} rules found" in tool("promtool", "check", "rules", str(path))


def test_panels_lie_beside_one_another_and_have_numbers_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_a_scrape_finds_a_port_of_every_pod_that_it_selects() -> None:
    for folder, expected in (
        ("standard", {"sluice-server", "sluice-updater", "sluice-exporter"}),
        ("knative", {"sluice-server", "sluice-updater", "sluice-exporter"}),
        ("../examples/payload-ledger", {"sluice-server", "sluice-updater", "sluice-exporter", "sluice-payload-ledger"}),
        (
            "../examples/drift-server",
            {"sluice-server", "sluice-updater", "sluice-exporter", "sluice-payload-ledger", "sluice-drift-server"},
        ),
        ("../examples/explainer", {"sluice-server", "sluice-updater", "sluice-exporter", "sluice-explainer"}),
    ):
        documents, scraped = overlay(folder), set()
        for monitor in of_kind(documents, "PodMonitor"):
            labels = monitor["spec"]["selector"]["matchLabels"].items()
            for pod in (each for each in pods(documents) if labels <= each.labels.items()):
                ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
                assert ports <= _ports(pod), f"{folder}: {pod.maker} has no port {ports}"
                scraped.add(monitor["metadata"]["name"])
        assert scraped == expected, folder


def _ports(pod: Pod) -> set[str]:
    # Knative gives the server's port this name itself.
    own = {"user-port"} if pod.maker == "InferenceService/fraud" else set()
    return own | {str(port.get("name")) for container in pod.containers for port in container.get("ports", ())}
