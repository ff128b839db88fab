"""Alerts over the metrics that the server has, asked of the real promtool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import servers
import yaml
from prometheus_client import CollectorRegistry

from sluice_serving.answers import Identity
from sluice_serving.metrics import Metrics
from tests.manifests.rendered import of_kind, overlay

ENDPOINT = 'namespace="sluice", serving_kserve_io_inferenceservice="fraud"'
QUIET = {
    f'up{{{ENDPOINT}, pod="a"}}': "1+0x120",
    f'sluice_model_info{{{ENDPOINT}, pod="a", model="fraud", version="v1"}}': "1+0x120",
    f'sluice_request_seconds_count{{{ENDPOINT}, pod="a", protocol="v1", status="200"}}': "0+600x120",
    f'sluice_request_seconds_bucket{{{ENDPOINT}, pod="a", protocol="v1", status="200", le="0.005"}}': "0+600x120",
    f'sluice_request_seconds_bucket{{{ENDPOINT}, pod="a", protocol="v1", status="200", le="+Inf"}}': "0+600x120",
    f'sluice_rows_total{{{ENDPOINT}, pod="a"}}': "0+600x120",
}
"""Ten requests a second of one row each, answered within 5 ms."""
FAULTS: dict[str, dict[str, str]] = {
    "SluiceNoServer": {name: "stale" for name in QUIET if name.startswith(("up", "sluice_model_info"))},
    "SluiceRequestsFail": {
        f'sluice_request_seconds_count{{{ENDPOINT}, pod="a", protocol="v1", status="503"}}': "0+12x120",
    },
    "SluiceSlow": {
        f'sluice_request_seconds_bucket{{{ENDPOINT}, pod="a", protocol="v1", status="200", le="0.005"}}': "0+500x120",
        f'sluice_request_seconds_bucket{{{ENDPOINT}, pod="a", protocol="v1", status="200", le="0.5"}}': "0+600x120",
    },
    "SluiceRequestsRefused": {f'sluice_refused_total{{{ENDPOINT}, pod="a", reason="field"}}': "0+60x120"},
    "SluiceStateIsStale": {f'sluice_stale_entities_total{{{ENDPOINT}, pod="a", entity="card"}}': "0+60x120"},
    "SluiceEntitiesUnknown": {f'sluice_unknown_entities_total{{{ENDPOINT}, pod="a", entity="card"}}': "0+400x120"},
    "SluiceStateIsAhead": {f'sluice_ahead_total{{{ENDPOINT}, pod="a"}}': "0+60x120"},
    "SluiceTwoVersions": {f'sluice_model_info{{{ENDPOINT}, pod="b", model="fraud", version="v2"}}': "1+0x120"},
}


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    (found,) = of_kind(overlay("standard"), "PrometheusRule")
    return dict(found["spec"])


@pytest.fixture(scope="module")
def rule_file(rules: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(rules))
    return path


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        servers.missing["promtool"] = "install the package prometheus"
        if os.environ.get("SLUICE_TESTS_COMPLETE") == "1":
            pytest.fail("promtool is not here and nothing may be skipped", pytrace=False)
        pytest.skip("promtool is not here")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts(rules: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]


def test_rules_are_well_formed(rule_file: Path) -> None:
    assert "rules found" in promtool("check", "rules", str(rule_file))


def test_rules_use_metrics_and_labels_that_the_server_has(rules: dict[str, Any]) -> None:
    registry = CollectorRegistry()
    Metrics(Identity("fraud", "v1", ("amount",), ()), "binary", registry)
    had = {f"{family.name}{suffix}" for family in registry.collect() for suffix in ("", "_total", "_count", "_bucket")}
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert set(re.findall(r"\bsluice_\w+", rule["expr"])) <= had, rule["expr"]


def test_every_alert_says_how_bad_it_is_and_where_to_look(rules: dict[str, Any]) -> None:
    for alert in alerts(rules):
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} <= set(alert["annotations"]) and alert["for"], alert["alert"]
    assert {alert["alert"] for alert in alerts(rules)} == set(FAULTS)


def test_a_quiet_endpoint_raises_no_alert(rule_file: Path, rules: dict[str, Any], tmp_path: Path) -> None:
    names = [alert["alert"] for alert in alerts(rules)]
    _judge(rule_file, tmp_path, QUIET, dict.fromkeys(names, False))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_raises_its_alert_and_no_other(
    fault: str, rule_file: Path, rules: dict[str, Any], tmp_path: Path
) -> None:
    series = {name: value for name, value in {**QUIET, **FAULTS[fault]}.items() if value != "stale"}
    _judge(rule_file, tmp_path, series, {alert["alert"]: alert["alert"] == fault for alert in alerts(rules)})


def _judge(rules: Path, folder: Path, series: dict[str, str], expected: dict[str, bool]) -> None:
    """Let promtool run the rules over series of one sample a minute, and count what fires after two hours."""
    asked = [
        {
            "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
            "eval_time": "110m",
            "exp_samples": [{"labels": "{}", "value": int(fires)}],
        }
        for name, fires in expected.items()
    ]
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": asked,
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    promtool("test", "rules", str(path))
