"""The Fraud Detection Handbook's tables, reproduced; below them, what our own candidates reach on the same weeks.

    python bench/handbook.py [TABLE] [--only holdout|prequential|ours] [--folds N]

TABLE is the handbook's transactions.parquet; by default it is where use_cases/handbook.yaml says. Everything tuned is
in bench/handbook.yaml. Training rows are a week, or what `ours` says; test is the second week after; cards known as
compromised before a day of the test are not in it. The exit status is 1 when a figure of the reproduction is out of
its tolerance, and 2 where TABLE is not there; without TABLE a missing table is said and left out. With fewer folds
figures are shown but not judged.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from handbook_settings import ROOT, Figures, Ours, Reproduced, Settings, read_settings
from machine import machine
from rich.console import Console
from rich.table import Table

from sluice.errors import SluiceError
from sluice.evaluation.context import Context, context_of, known_positive
from sluice.evaluation.metrics import metric
from sluice.features.historical import feature_names, feature_rows
from sluice.features.schema import fit_schema, to_matrix
from sluice.ingest import Ingested, ingest
from sluice.selection import choose
from sluice.settings import UseCase
from sluice.settings.training import Candidate
from sluice.training.candidates import read_params
from sluice.training.kinds import fit_kind
from sluice.training.matrices import problem_of

WEEK = timedelta(days=7)
METRICS = {"roc_auc": "AUC ROC", "average_precision": "AP", "card_precision": "CP@100"}


@dataclass(frozen=True)
class Fold:
    """Labelled rows of one training and its test. `context` says who was known as compromised, a row each of `test`."""

    train: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame
    context: Context

    @property
    def tested(self) -> np.ndarray:
        """Rows of cards that were not known as compromised, bool [rows of test]."""
        assert self.context.known is not None
        return ~self.context.known


@dataclass(frozen=True)
class Result:
    """Figures of one training on the test rows, and its metric on validation."""

    test: Figures
    validation: float
    seconds: float


def days(rows: pl.DataFrame, first: datetime, length: timedelta) -> pl.DataFrame:
    """The rows of `length` from `first` on."""
    return rows.filter((pl.col("event_time") >= first) & (pl.col("event_time") < first + length))


def fold_of(case: UseCase, rows: pl.DataFrame, first: date, ours: Ours | None) -> Fold:
    """The fold of the handbook's training week that begins on `first`.

    The handbook trains on that week; the week before stands in as validation, where a network must know when to stop.
    Ours validates on that week, and trains on what was known when it began. Known are the frauds of that week and
    later ones, as their labels arrive.
    """
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    week, test = days(rows, begin, WEEK), days(rows, begin + 2 * WEEK, WEEK)
    context = context_of(case, test, labels=rows.filter(pl.col("event_time") >= begin))
    if ours is None:
        return Fold(week, days(rows, begin - WEEK, WEEK), test, context)
    train = days(rows, begin - ours.gap - ours.train, ours.train)
    known = known_positive(week, rows.filter(pl.col("event_time") >= begin - 2 * WEEK), "card")
    return Fold(train, week.filter(pl.Series(~known)), test, context)


def trained(case: UseCase, columns: list[str], candidate: Candidate, fold: Fold) -> Result:
    """Train a candidate and measure it."""
    schema = fit_schema(fold.train, columns, case.features.fills, {})
    problem = problem_of(case, schema, fold.train, fold.validation, progress=lambda *_: None, ask=None)
    started = time.perf_counter()
    model = fit_kind(problem, read_params(candidate, dict(candidate.params)), None).model
    seconds = time.perf_counter() - started
    score = np.asarray(model.score(to_matrix(schema, fold.test)), dtype=np.float64)
    label = fold.test.get_column("label").to_numpy()
    kept = fold.tested
    figures = {name: metric(name, case.task, label[kept], score[kept]) for name in METRICS if name != "card_precision"}
    figures["card_precision"] = metric("card_precision", case.task, label, score, context=fold.context)
    return Result(figures, problem.measure(model.score(problem.x_validation)), seconds)


def mean(results: list[Result]) -> Result:
    """Of all folds; the seconds are their sum."""
    figures = {name: float(np.mean([r.test[name] for r in results])) for name in METRICS}
    return Result(figures, float(np.mean([r.validation for r in results])), sum(r.seconds for r in results))


def reproduce(
    title: str, case: UseCase, columns: list[str], lines: list[Reproduced], folds: list[Fold]
) -> tuple[Table, bool]:
    """The handbook's table with ours beside it, and whether all figures are within their tolerance."""
    rows = ", ".join(f"{f.train.height:,}/{f.tested.sum():,}" for f in folds)
    caption = f"ours, published, difference; training/test rows {rows}"
    table = Table(title=title, title_justify="left", caption=caption)
    for heading in ("", *METRICS.values(), "tolerance", "", "seconds"):
        table.add_column(heading, justify="left" if not heading else "right")
    good = True
    for line in lines:
        found = mean([trained(case, columns, line.candidate, fold) for fold in folds])
        cells, wrong = [], []
        for name, shown in METRICS.items():
            difference = found.test[name] - line.published[name]
            cells.append(f"{found.test[name]:.4f}  {line.published[name]:.3f}  {difference:+.4f}")
            wrong += [shown] if abs(difference) > line.tolerance else []
        good = good and not wrong
        verdict = f"OUT: {', '.join(wrong)}" if wrong else "within"
        table.add_row(line.name, *cells, f"{line.tolerance:.3f}", verdict, f"{found.seconds:.0f}")
    return table, good


def ours_table(case: UseCase, columns: list[str], ours: Ours, folds: list[Fold]) -> Table:
    """Our candidates, and what selection on validation makes of them fold by fold."""
    candidates = [c for c in case.training.candidates if c.id in ours.candidates]
    by_id = {c.id: [trained(case, columns, c, fold) for fold in folds] for c in candidates}
    table = Table(title=f"ours, {len(columns)} features, {ours.train.days} training days", title_justify="left")
    for heading in ("", *METRICS.values(), "AP on validation", "aim", "seconds"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, results in by_id.items():
        table.add_row(name, *_cells(mean(results)), "", f"{mean(results).seconds:.0f}")
    table.add_section()
    for margin in dict.fromkeys((case.training.margin, 0.0)):
        judge = case.model_copy(update={"training": case.training.model_copy(update={"margin": margin})})
        picks = [choose(judge, {n: results[i].validation for n, results in by_id.items()}) for i in range(len(folds))]
        found = mean([by_id[pick][i] for i, pick in enumerate(picks)])
        reached = all(found.test[name] >= least for name, least in ours.aim.items())
        label = f"simplest within {margin:g} of the best" if margin else "best on validation"
        label += f": {', '.join(f'{name} {picks.count(name)}x' for name in dict.fromkeys(picks))}"
        table.add_row(label, *_cells(found), "reached" if reached else "missed", "")
    wanted = ", ".join(f"{METRICS[name]} {least:g}" for name, least in ours.aim.items())
    table.caption = f"aim: {wanted}; mean of {len(folds)} folds"
    return table


def _cells(result: Result) -> list[str]:
    return [*(f"{result.test[name]:.4f}" for name in METRICS), f"{result.validation:.4f}"]


def labelled(case: UseCase, data: Ingested) -> pl.DataFrame:
    """The feature rows of all events with `label` and `label_time`."""
    rows = feature_rows(case, data.events, data.labels, root=ROOT)
    labels = data.labels.select("event_id", "label", "label_time")
    return rows.join(labels, on="event_id", how="left", maintain_order="left")


def run(settings: Settings, case: UseCase, given: argparse.Namespace, console: Console) -> bool:
    """Print the tables that are asked for; whether the reproduction is within its tolerances."""
    started = time.perf_counter()
    data = ingest(case, source=str(given.table), now=datetime.now(UTC))
    console.print(f"{data.events.height:,} transactions; {machine()}")
    good = True
    copied = settings.reproduction
    theirs = case.model_copy(update={"features": copied.features, "seed": copied.seed})
    parts = {"holdout": (settings.holdout, copied.holdout), "prequential": (settings.prequential, copied.prequential)}
    wanted = [part for part in parts if given.only in (None, part)]
    rows = labelled(theirs, data) if wanted else pl.DataFrame()
    for part in wanted:
        weeks, lines = parts[part][0][: given.folds], parts[part][1]
        folds = [fold_of(theirs, rows, first, None) for first in weeks]
        table, within = reproduce(part, theirs, copied.columns, lines, folds)
        console.print(table)
        good = good and (within or len(weeks) < len(parts[part][0]))
    if given.only in (None, "ours"):
        rows = labelled(case, data)
        folds = [fold_of(case, rows, first, settings.ours) for first in settings.prequential[: given.folds]]
        console.print(ours_table(case, feature_names(case, root=ROOT), settings.ours, folds))
    console.print(f"{time.perf_counter() - started:.0f} s in all")
    return good


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, nargs="?", help="the handbook's transactions.parquet")
    parser.add_argument("--only", choices=("holdout", "prequential", "ours"))
    parser.add_argument("--folds", type=int, default=None, help="the first N weeks only")
    given = parser.parse_args()
    settings, case = read_settings()
    asked, given.table = given.table is not None, given.table or ROOT / case.data.source
    if not given.table.exists():
        print(
            f"{given.table}: there is no such file. The handbook's transactions are not shipped: "
            "python bench/handbook.py TABLE says where yours are",
            file=sys.stderr,
        )
        return 2 if asked else 0
    try:
        good = run(settings, case, given, Console(width=140))
    except SluiceError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
