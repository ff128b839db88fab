"""Alerts over the metrics that the servers have, asked of the real promtool."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from servers import tool

from tests.manifests.alerting import alerts, groups
from tests.manifests.rendered import ROOT

SERVER = 'namespace="sluice", serving_kserve_io_inferenceservice="fraud", pod="a"'
OTHER = SERVER.replace('"a"', '"b"')
SECONDS = f'{SERVER}, protocol="v1", status="200"'
STATE = 'namespace="sluice", pod="u", service="fraud_v1", entity="card"'
LEDGER = 'namespace="sluice", pod="p"'
EXPLAINER = 'namespace="sluice", serving_kserve_io_inferenceservice="fraud", pod="e"'
EXPORTER = 'namespace="sluice", pod="x", model="fraud"'
WATCHER = 'namespace="sluice", pod="d", model="fraud", version="v1"'
CHAMPION = f'{EXPORTER}, version="v1"'
Series = dict[str, str]
"""Series by name and labels: promtool's values, one a minute from 0 on; `gone`: the series is not there."""
QUIET: Series = {
    **{
        f'up{{namespace="sluice", pod="{pod}", job="sluice/sluice-{job}"}}': "1+0x120"
        for pod, job in (
            ("a", "server"),
            ("u", "updater"),
            ("p", "payload-ledger"),
            ("e", "explainer"),
            ("x", "exporter"),
            ("d", "drift-server"),
        )
    },
    f'sluice_model_info{{{SERVER}, model="fraud", version="v1"}}': "1+0x120",
    f"sluice_request_seconds_count{{{SECONDS}}}": "0+600x120",
    f'sluice_request_seconds_bucket{{{SECONDS}, le="0.005"}}': "0+600x120",
    f'sluice_request_seconds_bucket{{{SECONDS}, le="+Inf"}}': "0+600x120",
    f"sluice_rows_total{{{SERVER}}}": "0+600x120",
    f'sluice_updater_lag_seconds{{{STATE}, partition="0"}}': "1+0x120",
    f'sluice_updater_held{{{STATE}, partition="0"}}': "1+0x120",
    f'sluice_updater_applied_total{{{STATE}, stream="events"}}': "0+600x120",
    f"sluice_payload_lag_seconds{{{LEDGER}}}": "5+0x120",
    f"sluice_payload_aside_total{{{LEDGER}}}": "0+0x120",
    f'sluice_payload_accepted_total{{{LEDGER}, model="fraud", kind="responses"}}': "0+600x120",
    # What a scrape leaves behind KServe's logger.
    f'sluice_payload_refused_total{{{LEDGER}, status="400"}}': "0+60x120",
    f"sluice_explainer_seconds_count{{{EXPLAINER}}}": "0+60x120",
    f'sluice_drift_verdict{{{WATCHER}, verdict="drift"}}': "0+0x120",
    f"sluice_drift_failures_total{{{WATCHER}}}": "0+0x120",
    f"sluice_monitor_store_up{{{EXPORTER}}}": "1+0x120",
    f"sluice_monitor_window_due_timestamp_seconds{{{CHAMPION}}}": "-3600+0x120",
    f'sluice_monitor_window_verdict{{{CHAMPION}, verdict="thin"}}': "0+0x120",
    f'sluice_monitor_violated{{{CHAMPION}, test="drift"}}': "0+0x120",
    f'sluice_monitor_violated{{{CHAMPION}, test="performance"}}': "0+0x120",
    f'sluice_monitor_action{{{CHAMPION}, action="alerted"}}': "0+0x120",
}
"""Ten requests a second of one row each, answered within 5 ms and kept; state is fresh, the last window was quiet."""
FAULTS: dict[str, Series] = {
    "SluiceNoServer": {name: "gone" for name in QUIET if name.startswith("sluice_") and SERVER in name},
    "SluiceRequestsFail": {f'sluice_request_seconds_count{{{SERVER}, protocol="v1", status="503"}}': "0+12x120"},
    "SluiceSlow": {
        f'sluice_request_seconds_bucket{{{SECONDS}, le="0.005"}}': "0+500x120",
        f'sluice_request_seconds_bucket{{{SECONDS}, le="0.5"}}': "0+600x120",
    },
    "SluiceRequestsRefused": {f'sluice_refused_total{{{SERVER}, reason="field"}}': "0+60x120"},
    "SluiceStateIsStale": {f'sluice_stale_entities_total{{{SERVER}, entity="card"}}': "0+60x120"},
    "SluiceEntitiesUnknown": {f'sluice_unknown_entities_total{{{SERVER}, entity="card"}}': "0+400x120"},
    "SluiceStateIsAhead": {f"sluice_ahead_total{{{SERVER}}}": "0+60x120"},
    "SluiceNoTraffic": {
        **{name: "0+600x10 6000+0x110" for name in QUIET if name.startswith(("sluice_request", "sluice_payload_acc"))},
        f"sluice_rows_total{{{SERVER}}}": "0+600x10 6000+0x110",
    },
    "SluiceScrapeFails": {'up{namespace="sluice", pod="u", job="sluice/sluice-updater"}': "0+0x120"},
    "SluiceTwoVersions": {f'sluice_model_info{{{OTHER}, model="fraud", version="v2"}}': "1+0x120"},
    "SluiceUpdaterLags": {f'sluice_updater_lag_seconds{{{STATE}, partition="0"}}': "0+6x120"},
    "SluicePartitionUnheld": {f'sluice_updater_held{{{STATE}, partition="0"}}': "0+0x120"},
    "SluiceRecordsRefused": {
        f"sluice_updater_refused_total{{{STATE}}}": "0+6x120",
        f'sluice_updater_applied_total{{{STATE}, stream="events"}}': "gone",
    },
    "SluiceLedgerLags": {f"sluice_payload_lag_seconds{{{LEDGER}}}": "5+60x120"},
    "SluiceLedgerRefuses": {f'sluice_payload_refused_total{{{LEDGER}, status="503"}}': "0+60x120"},
    "SluiceLedgerMissesAnswers": {
        f'sluice_payload_accepted_total{{{LEDGER}, model="fraud", kind="responses"}}': "gone"
    },
    "SluiceLedgerSegmentAside": {f"sluice_payload_aside_total{{{LEDGER}}}": "2+0x120"},
    "SluiceExplainerFails": {f'sluice_explainer_refused_total{{{EXPLAINER}, reason="predictor"}}': "0+20x120"},
    "SluiceDriftComes": {f'sluice_drift_verdict{{{WATCHER}, verdict="drift"}}': "1+0x120"},
    "SluiceDriftUnjudged": {f"sluice_drift_failures_total{{{WATCHER}}}": "0+1x120"},
    "SluiceDataFault": {f'sluice_monitor_column_broken{{{CHAMPION}, feature="amount"}}': "1+0x120"},
    "SluiceDrift": {f'sluice_monitor_violated{{{CHAMPION}, test="drift"}}': "1+0x120"},
    "SluicePerformanceFallen": {f'sluice_monitor_violated{{{CHAMPION}, test="performance"}}': "1+0x120"},
    "SluiceWindowThin": {f'sluice_monitor_window_verdict{{{CHAMPION}, verdict="thin"}}': "1+0x120"},
    "SluiceTrainingHeld": {
        f'sluice_monitor_action{{{CHAMPION}, action="alerted"}}': "1+0x120",
        f'sluice_monitor_violated{{{CHAMPION}, test="drift"}}': "1+0x120",
    },
    "SluiceTrainingHangs": {f"sluice_monitor_open_run_timestamp_seconds{{{CHAMPION}}}": "-90000+0x120"},
    "SluiceMonitorStopped": {f"sluice_monitor_window_due_timestamp_seconds{{{CHAMPION}}}": "-90000+0x120"},
    "SluiceMonitorUnread": {f"sluice_monitor_store_up{{{EXPORTER}}}": "0+0x120"},
    "SluiceNoExporter": {name: "gone" for name in QUIET if name.startswith("sluice_monitor")},
}
BESIDE = {"SluiceTrainingHeld": {"SluiceDrift"}}
"""What a fault raises, too."""


@pytest.fixture(scope="module")
def rule_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups()}))
    return path


def test_rules_are_well_formed(rule_file: Path) -> None:
    assert "rules found" in tool("promtool", "check", "rules", str(rule_file))


def test_every_alert_says_how_bad_it_is_and_where_to_look() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description", "runbook"} == set(alert["annotations"]) and alert["for"], name
        assert alert["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
        assert f"\n### {name}\n" in page, f"docs/alerts.md has no {name}"
    assert page.count("\n### Sluice") == len(alerts()), "docs/alerts.md tells of an alert that is not there"


def test_a_quiet_day_raises_no_alert_and_each_fault_its_own(rule_file: Path, tmp_path: Path) -> None:
    assert set(FAULTS) == set(alerts())
    cases = {"": QUIET, **{name: QUIET | fault for name, fault in FAULTS.items()}}
    path = tmp_path / "test.yaml"
    tests = [_case(series, {name, *BESIDE.get(name, ())} - {""}) for name, series in cases.items()]
    path.write_text(yaml.safe_dump({"rule_files": [str(rule_file)], "evaluation_interval": "5m", "tests": tests}))
    tool("promtool", "test", "rules", str(path))


def test_promtool_would_tell_of_an_alert_too_many(rule_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.yaml"
    case = _case(QUIET | FAULTS["SluiceDrift"], set())
    path.write_text(yaml.safe_dump({"rule_files": [str(rule_file)], "evaluation_interval": "5m", "tests": [case]}))
    with pytest.raises(AssertionError, match="SluiceDrift"):
        tool("promtool", "test", "rules", str(path))


def _case(series: Series, firing: set[str]) -> dict[str, object]:
    """One of promtool's tests: after nearly two hours these alerts fire and no others."""
    given = [{"series": name, "values": values} for name, values in series.items() if values != "gone"]
    fires = 'count by (alertname) (ALERTS{alertstate="firing"})'
    # Any other alert is a sample that is not expected.
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)]
    asked = [{"expr": fires, "eval_time": "115m", "exp_samples": expected}]
    return {
        "interval": "1m",
        "name": "+".join(sorted(firing)) or "quiet",
        "input_series": given,
        "promql_expr_test": asked,
    }
