"""The electricity market: real data that drifts, and a forecast that is hard to beat."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from whole_loop import check_papers, go_round

from sluice.export.graph import Graph
from sluice.features.historical import feature_names, feature_rows
from sluice.features.schema import fit_schema, to_matrix
from sluice.ingest import ingest
from sluice.settings import read_use_case
from sluice.splits import split_rows
from sluice.training import train_candidate

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data" / "elec2" / "elec2.parquet"


@pytest.mark.skipif(not DATA.exists(), reason=f"the electricity data is not at {DATA}")
def test_a_candidate_beats_the_last_half_hour_and_nothing_sees_the_future(tmp_path: Path) -> None:
    case = read_use_case(ROOT / "use_cases" / "electricity.yaml", {"data.source": str(DATA)})
    found = ingest(case, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert found.quarantine.height == 0
    rows = feature_rows(case, found.events, found.labels, root=ROOT)
    known = rows.join(found.labels.select("event_id", "label"), on="event_id", maintain_order="left")
    assert known.get_column("class_mean_30m").equals(known.get_column("label").shift(1), check_names=False)

    split = split_rows(case, rows, found.labels)
    schema = fit_schema(split.train, feature_names(case, root=ROOT), case.features.fills, {})
    label, right = split.test.get_column("label").to_numpy(), {}
    for candidate in case.training.candidates:
        if candidate.id in ("persistence", "logistic"):
            folder = tmp_path / candidate.id
            train_candidate(candidate, case, schema, split.train, split.validation, folder, store=None)
            score = Graph(folder / "model.onnx").score(to_matrix(schema, split.test))
            right[candidate.id] = float(np.mean((score > 0.5) == (label == 1)))
    last = split.test.select((pl.col("class_mean_30m") == pl.col("label")).mean()).item()
    assert right["persistence"] == pytest.approx(last)
    assert right["logistic"] > last + 0.02


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not DATA.exists(), reason=f"the electricity data is not at {DATA}")
def test_the_whole_loop_promotes_what_beats_the_last_half_hour(tmp_path: Path) -> None:
    changes = {
        "data.source": str(DATA),
        "features.repo": str(ROOT / "use_cases" / "electricity"),
        "storage.url": str(tmp_path / "store"),
        "storage.keys": str(tmp_path / "keys"),
    }
    case = read_use_case(ROOT / "use_cases" / "electricity.yaml", changes)
    quick = [c for c in case.training.candidates if c.id in ("constant", "persistence", "logistic")]
    training = case.training.model_copy(update={"candidates": quick})
    loop = go_round(case.model_copy(update={"training": training}), tmp_path / "work")
    check_papers(loop)
    assert set(loop.figures) == {"challenger", "constant", "persistence"}
    assert loop.figures["challenger"] > loop.figures["persistence"] + 0.02 > loop.figures["constant"] + 0.2
    asked = {"period": 0.5, "price": 0.06, "demand": 0.5, "vicprice": 0.003, "vicdemand": 0.4, "transfer": 0.4}
    (answer,) = loop.ask({"event_id": "next", "event_time": "1998-12-05T12:00:00Z", **asked})
    assert 0 < answer["score"] < 1 and answer["unknown"] == []
