"""Half a market's life: what retraining by rule is worth on real data that drift, beside never and every week.

    python bench/elec2.py --data TABLE [--weeks N] [--policy NAME ...] [--pipeline] [--work FOLDER] [--picture FILE]

TABLE is the electricity market of New South Wales (elec2, 45,312 half hours); it is not shipped. The first champion is
trained on the first days by the product's own steps. Then week after week the champion answers each half hour, its
answers go into the ledger, labels arrive half an hour late, and each policy does what it does:

    never        the first champion answers to the end
    weekly       a training run after each week; the gate decides
    rules        the monitor looks at each week, its rules decide about training, the gate about promotion
    rules, told  the same, and somebody has said that Victoria's new columns are no broken sender

Everything tuned is in bench/elec2.yaml, laid over use_cases/electricity.yaml. A replay that was stopped goes on where
it stopped. `--pipeline` runs each training by `kfp.local`, a process a step; without it the same steps run in this one.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
from elec2_picture import draw
from elec2_replay import POLICIES, Replay, Train, begin
from elec2_story import Story, read_story, stories_table, what_happened
from elec2_training import now, train_here, train_in_pipeline
from handbook_settings import ROOT
from machine import machine
from rich.console import Console

from sluice.errors import GateError, SluiceError
from sluice.features.historical import feature_names, feature_rows
from sluice.ingest import ingest
from sluice.settings import UseCase, read_use_case
from sluice.settings.split import TimeSplit
from sluice.training.persistence import Persistence
from sluice.watch.records import Span, latest_span

USE_CASE, OVERLAY = "use_cases/electricity.yaml", "bench/elec2.yaml"


def case_of(data: Path, place: Path, overlays: tuple[str, ...] = ()) -> UseCase:
    """The use case with a store and keys in `place`."""
    given = {
        "data.source": str(data.absolute()),
        "storage.url": str(place / "store"),
        "storage.keys": str(place / "keys"),
    }
    given["features.repo"] = str(ROOT / "use_cases" / "electricity")
    return read_use_case(ROOT / USE_CASE, given, [ROOT / name for name in (OVERLAY, *overlays)])


def weeks_of(use_case: UseCase, rows: pl.DataFrame) -> list[Span]:
    """The monitor's windows after the days that the first training takes, whole ones."""
    split, length = use_case.split, use_case.watch.window
    assert isinstance(split, TimeSplit)
    first, last = rows.get_column("event_time").min(), rows.get_column("event_time").max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    learned = first + split.train + split.validation + split.gap + split.test
    start = latest_span(learned, length, timedelta()).end + length
    return [Span(start + n * length, start + (n + 1) * length) for n in range((last - start) // length)]


def labelled_rows(use_case: UseCase) -> pl.DataFrame:
    """The feature rows of the whole table with `label`."""
    found = ingest(use_case, now=now())
    rows = feature_rows(use_case, found.events, found.labels, root=ROOT)
    return rows.join(found.labels.select("event_id", "label"), on="event_id", how="left", maintain_order="left")


def baseline(use_case: UseCase, rows: pl.DataFrame, weeks: list[Span]) -> Story:
    """The class of the half hour before, as the candidate `persistence` makes a score of it before the replay."""
    (candidate,) = (one for one in use_case.training.candidates if one.id == "persistence")
    names = feature_names(use_case, root=ROOT)
    when, settle = pl.col("event_time"), use_case.watch.settle
    past = rows.filter(when < weeks[0].start)
    later = rows.filter((when >= weeks[0].start + settle) & (when < weeks[-1].end + settle))
    model = Persistence(dict(candidate.params), use_case.seed, use_case.task)
    x, y = past.select(names).to_numpy(), past.get_column("label").to_numpy()
    model.fit(x, y, x, y)
    scored = later.with_columns(score=pl.Series(model.score(later.select(names).to_numpy())))
    return Story("previous label", scored.select("event_id", "event_time", "label", "score"))


def begin_all(given: argparse.Namespace, weeks: list[Span], train: Train) -> None:
    """Train the first champion, and give each policy a store in which it is live; what is there is left."""
    first, over = given.work / "first", given.work / "first.over"
    at = weeks[0].start + case_of(given.data, first).watch.settle
    if not over.exists():
        decided = train(case_of(given.data, first).until(at), f"first-{at:%Y%m%dT%H%M%S}", first)
        if decided != "promoted":
            raise GateError(f"the first version was not promoted but {decided}", f"its report lies in {first}")
        over.touch()
    for policy in POLICIES:
        begin(first, given.work / policy.folder)


def replayed(given: argparse.Namespace, rows: pl.DataFrame, weeks: list[Span], train: Train) -> list[Story]:
    """Week by week, each policy in turn: what became of them."""
    replays = []
    for policy in (one for one in POLICIES if one.name in given.policy):
        place = given.work / policy.folder
        replays.append(Replay(policy, case_of(given.data, place, policy.overlays), place, rows, train))
    for number, week in enumerate(weeks, 1):
        for replay in replays:
            replay.live(week)
        print(f"{number} of {len(weeks)} weeks", file=sys.stderr, flush=True)
    return [read_story(one.policy.name, one.registry, one.use_case, one.answered(weeks)) for one in replays]


def run(given: argparse.Namespace, console: Console) -> None:
    """Replay the policies that are asked for; print the table and what happened, draw the picture."""
    started = time.perf_counter()
    case = case_of(given.data, given.work / "first")
    rows = labelled_rows(case)
    train = train_in_pipeline if given.pipeline else partial(train_here, rows=rows.drop("label"))
    weeks = weeks_of(case, rows)[: given.weeks]
    begin_all(given, weeks, train)
    stories = [*replayed(given, rows, weeks, train), baseline(case, rows, weeks)]
    console.print(f"weeks of {weeks[0].start:%Y-%m-%d} to {weeks[-1].start:%Y-%m-%d}; {machine()}")
    console.print(stories_table(stories, case))
    for line in (line for story in stories for line in what_happened(story)):
        console.print(line, highlight=False)
    if given.picture is not None:
        given.picture.write_text(draw(stories, title="accuracy, mean of four weeks"))
    console.print(f"{time.perf_counter() - started:.0f} s in all")


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="elec2.parquet")
    parser.add_argument("--weeks", type=int, default=None, help="the first N weeks of the replay only")
    parser.add_argument("--policy", nargs="+", choices=[one.name for one in POLICIES], help="default: all")
    parser.add_argument("--pipeline", action="store_true", help="each training by kfp.local")
    parser.add_argument("--work", type=Path, default=Path(".sluice/elec2"), help="folder of stores and answers")
    parser.add_argument("--picture", type=Path, default=None, help="SVG to write")
    given = parser.parse_args()
    given.policy = given.policy or [one.name for one in POLICIES]
    given.work = given.work.absolute()
    given.work.mkdir(parents=True, exist_ok=True)
    if not given.data.exists():
        print(f"{given.data}: there is no such file. The table is not shipped", file=sys.stderr)
        return 2
    try:
        run(given, Console(width=160))
    except SluiceError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
