"""From a raw table to a served decision: what every use case here goes through."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry

from sluice.batch import score_with_champion
from sluice.features.online import OnlineFeatures
from sluice.ingest import ingest
from sluice.registry import Registry, open_registry
from sluice.registry.servable import Servable, load_champion
from sluice.scoring import ScoredFile
from sluice.settings import UseCase, parse_use_case
from sluice_pipelines.local import LocalRun, new_run_id, run_locally
from sluice_serving.server import build_model

CONSTANT = {"id": "constant", "kind": "constant"}
LOGISTIC = {"id": "logistic", "kind": "logistic", "params": {"C": 1.0}}
LINEAR = {"id": "linear", "kind": "linear", "params": {"alpha": 1.0}}


def now() -> datetime:
    return datetime.now(UTC)


def use_case_of(
    table: pl.DataFrame, folder: Path, sections: dict[str, Any], candidates: list[dict[str, Any]], metric: str
) -> UseCase:
    """The use case of a raw table, which is written to `folder`; judged leniently enough for so few rows."""
    table.write_parquet(folder / "raw.parquet")
    document: dict[str, Any] = {
        "seed": 3,
        "training": {"metric": metric, "candidates": candidates},
        "gate": {"metric": metric, "max_calibration_error": 0.2, "max_slice_drop": 0.5, "parity_rows": 30},
        "storage": {"url": str(folder / "store"), "keys": str(folder / "keys")},
        **sections,
    }
    document["data"] = {"source": str(folder / "raw.parquet"), **sections["data"]}
    document["evaluation"] = {"bootstrap": {"resamples": 200, "cluster": "row"}, **sections.get("evaluation", {})}
    return parse_use_case(document)


@dataclass(frozen=True)
class Loop:
    """A run that is over, and where it worked."""

    use_case: UseCase
    run: LocalRun
    work: Path
    lines: list[dict[str, Any]] = field(repr=False)

    @property
    def verdict(self) -> dict[str, Any]:
        """The gate's document."""
        return dict(json.loads((self.run.folder / "verdict.json").read_text()))

    @property
    def figures(self) -> dict[str, float]:
        """Each candidate's metric on the sealed rows, as the gate saw it; `challenger` is the chosen one."""
        found: dict[str, float] = {}
        for check in self.verdict["checks"]:
            figures = check["figures"]
            if "against" in figures and "ours" in figures:
                name = figures["against"].removeprefix("rung ")
                found |= {"challenger": figures["ours"], name: figures["theirs"]}
        return found

    @property
    def sealed(self) -> pl.DataFrame:
        """event_id, label and everybody's scores on the sealed rows."""
        return pl.read_parquet(self.run.folder / "sealed_scores.parquet")

    def servable(self) -> Servable:
        """What a server loads: the champion, fetched and verified."""
        with TemporaryDirectory() as folder:
            return load_champion(self._registry(), Path(folder) / "version")

    def score(self, out: Path) -> tuple[ScoredFile, pl.DataFrame]:
        """The raw table scored by the champion in one go."""
        history = out.with_suffix("")
        ingest(self.use_case, now=now()).write(history)
        source = self.use_case.data.source
        scored = score_with_champion(self._registry(), source, out, now=now(), history=history)
        assert scored.warnings == ()
        return scored.file, pl.read_parquet(out)

    def _registry(self) -> Registry:
        return open_registry(self.use_case, clock=now, actor="test")

    def ask(self, *instances: dict[str, Any]) -> list[dict[str, Any]]:
        """What the endpoint answers, from the state that the run materialised."""
        servable = self.servable()
        online = OnlineFeatures.open(servable.use_case, self.work / "online" / self.use_case.name, servable.schema)
        model = build_model(servable, online, clock=now, registry=CollectorRegistry())
        answer = asyncio.run(model.predict({"instances": list(instances)}))
        assert isinstance(answer, dict)
        return list(json.loads(json.dumps(answer, allow_nan=False))["predictions"])


def go_round(use_case: UseCase, work: Path) -> Loop:
    """Run the pipeline."""
    lines: list[dict[str, Any]] = []
    return Loop(use_case, run_locally(use_case, run_id=new_run_id(), work=work, listen=lines.append), work, lines)


def check_papers(loop: Loop) -> None:
    """Promoted, with a report and a card in which nothing is left undefined."""
    assert loop.run.decision == "promoted", json.dumps(loop.verdict["checks"], indent=1)
    for page in (loop.run.report, loop.run.card):
        text = page.read_text()
        assert text.startswith("<!doctype html>") and loop.run.version[:12] in text
        for missing in (">nan<", ">None<", "Undefined", ">inf<"):
            assert missing not in text, f"{page.name} shows {missing}"


def check_scores(loop: Loop, out: Path) -> pl.DataFrame:
    """The whole table scored by the served graph: equal to what the gate saw, on every sealed row."""
    scored, table = loop.score(out)
    assert scored.scored == scored.rows == pl.read_parquet(loop.use_case.data.source).height
    both = loop.sealed.join(table, on="event_id", how="inner")
    assert both.height == loop.sealed.height > 0
    served = [name for name in table.columns if name == "score" or name.startswith("score_")]
    judged = [name for name in both.columns if name.startswith("challenger")]
    np.testing.assert_allclose(both.select(served).to_numpy(), both.select(judged).to_numpy(), atol=1e-6)
    return table
