"""Run the gate on the sound challenger and on every broken one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.table import Table

from sluice.gate.case import Case, Contender, Seal
from sluice.gate.judge import judge
from sluice.gate.selftest import surgery
from sluice.gate.selftest.broken import BROKEN, Bench, served
from sluice.gate.selftest.material import CountedOpenings, Material, MatrixOf, Trained, remembered, steady_clock
from sluice.gate.verdict import Verdict
from sluice.settings import UseCase
from sluice.steps import Progress, silent

STATISTICAL = frozenset({"ladder", "champion", "slices", "calibration"})
"""Checks by which a sound challenger may honestly fail: it is not good enough."""
RESAMPLES = 400
"""Enough for the policy's alpha over a dozen slices; broken challengers are far from any border."""
CHAMPION_FORGETS = 0.3
SHARE_OF_BUDGET = 0.4


@dataclass(frozen=True)
class Row:
    """One challenger of the self-test: whether it was refused, by which checks, and the verdict's sentence."""

    name: str
    broken: bool
    refused: bool
    by: tuple[str, ...]
    text: str

    @property
    def right(self) -> bool:
        """A broken one is refused; the sound one passes, or is refused by statistics alone."""
        return self.refused if self.broken else set(self.by) <= STATISTICAL


@dataclass(frozen=True)
class SelfTest:
    """All rows, the sound challenger first."""

    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Every row is right."""
        return all(row.right for row in self.rows)

    def document(self) -> dict[str, Any]:
        """JSON form."""
        rows = [{**asdict(row), "by": list(row.by), "right": row.right} for row in self.rows]
        return {"format": 1, "passed": self.passed, "rows": rows}

    @staticmethod
    def from_document(document: dict[str, Any]) -> SelfTest:
        """Inverse of `document`."""
        names = ("name", "broken", "refused", "text")
        rows = (Row(**{name: row[name] for name in names}, by=tuple(row["by"])) for row in document["rows"])
        return SelfTest(tuple(rows))

    def table(self) -> Table:
        """For `rich.print`."""
        broken = [row for row in self.rows if row.broken]
        caught = sum(row.refused for row in broken)
        table = Table(title=f"Gate self-test: {caught} of {len(broken)} broken challengers refused")
        for column in ("challenger", "", "refused by", "why"):
            table.add_column(column, overflow="fold")
        for row in self.rows:
            said = "refused" if row.refused else "promoted"
            colour = "green" if row.right else "red"
            table.add_row(row.name, f"[{colour}]{said}[/]", ", ".join(row.by), row.text)
        return table


def selftest(material: Material, *, progress: Progress = silent) -> SelfTest:
    """Judge the current challenger and everything that `BROKEN` makes of it.

    The champion is the current graph with a share of its answers forgotten: near enough that a broken challenger could
    pass for better, and worse than the sound one. Latency is read off a clock on which a row takes 0.4 of the budget.
    """
    matrix_of = remembered(material.look_up(material.current.schema, material.events, material.labels))
    bench = Bench(material, _sound_case(material, matrix_of), matrix_of)
    rows = [_row("the current challenger", judge(bench.case), broken=False)]
    for done, (name, build) in enumerate(BROKEN.items()):
        progress("gate self-test", done, len(BROKEN), name)
        rows.append(_row(name, judge(_sealed_anew(build(bench))), broken=True))
    progress("gate self-test", len(BROKEN), len(BROKEN))
    return SelfTest(tuple(rows))


def _sealed_anew(case: Case) -> Case:
    return replace(case, openings=CountedOpenings())


def _sound_case(material: Material, matrix_of: MatrixOf) -> Case:
    current, rows = material.current, material.rows.sort("event_time", "event_id")
    weak = surgery.forgetful(current.model, CHAMPION_FORGETS, float(rows.get_column("label").mean() or 0.0))  # type: ignore[arg-type]
    return Case(
        use_case=_policy(material.use_case),
        challenger=_contender(current),
        ladder=[_contender(rung) for rung in material.ladder],
        champion=_contender(replace(current, name="the champion", model=weak)),
        rows=rows,
        seal=Seal.of_rows(rows),
        events=material.events,
        labels=material.labels,
        views=material.views,
        serving=served(current.model, matrix_of),
        openings=CountedOpenings(),
        clock=steady_clock(SHARE_OF_BUDGET * material.use_case.gate.budgets.latency_ms / 1000),
        seed=material.seed,
        joined=material.joined,
    )


def _contender(trained: Trained) -> Contender:
    return Contender.from_graph(trained.name, trained.model, trained.schema, train_rows=trained.train_rows)


def _policy(use_case: UseCase) -> UseCase:
    bootstrap = use_case.evaluation.bootstrap.model_copy(update={"resamples": RESAMPLES})
    evaluation = use_case.evaluation.model_copy(update={"bootstrap": bootstrap})
    return use_case.model_copy(update={"evaluation": evaluation})


def _row(name: str, verdict: Verdict, *, broken: bool) -> Row:
    by = tuple(dict.fromkeys(check.name for check in verdict.refusals))
    return Row(name, broken, not verdict.passed, by, verdict.reason())
