"""The demo's weeks: the world changes, the monitor finds it, a training run starts, and the endpoint is right again.

Nothing is staged but the pace: the server, the ledger, the monitor, its rules, the pipeline and the gate are the ones
that everybody uses, with the use case's settings and `use_cases/overlays/fraud-weeks.yaml` over them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sluice.errors import DataError
from sluice.features.online import OnlineFeatures
from sluice.payloads.callers import admit
from sluice.report.monitor import monitor_text
from sluice.settings import UseCase
from sluice.steps import Progress
from sluice.watch.acting import act
from sluice.watch.monitor import watch
from sluice.watch.records import latest_span
from sluice_cli.coming import Coming, begin_source, grow, read_coming
from sluice_cli.console import out, run_progress
from sluice_cli.demo_world import DAY, Story, to_come
from sluice_cli.diary import Diary
from sluice_cli.endpoint import Endpoint, fetch_champion, running
from sluice_cli.monitor import retrain
from sluice_cli.people import registry_for
from sluice_cli.receiving import CALLERS, ReceiverProcess, receiving
from sluice_serving.playing import play


@dataclass(frozen=True)
class Weeks:
    """Where the weeks are lived, and with what.

    Attributes:
        settings: of the use case, with the overlay; `data.source` is the source that grows.
        data: the demo's own source, which does not.
        online: state as it is when the weeks begin.
        world: the seed of the simulated world.
    """

    story: Story
    settings: UseCase
    data: Path
    online: Path
    work: Path
    world: int

    @property
    def place(self) -> Path:
        """Folder of the diary and of the state that the endpoint reads."""
        return self.work / "weeks" / self.data.name

    @property
    def source(self) -> Path:
        """The source that grows."""
        return Path(self.settings.data.source)

    @property
    def state(self) -> Path:
        """The online store that the endpoint reads."""
        return self.place / "online"

    @property
    def over(self) -> bool:
        """Whether they were lived to their end."""
        return Diary.read(self.place).days >= self.story.days


def live_weeks(weeks: Weeks) -> None:
    """Live them, or what is left of them.

    Raises:
        DataError: the world was simulated by an earlier release, without its weeks.
        SluiceError: what a step of them raises; `make demo` goes on with the week that it failed in.
    """
    _prepare(weeks)
    coming = _coming(weeks)
    token = admit(weeks.work / "payloads" / CALLERS, "demo", [weeks.settings.name])
    with receiving(weeks.settings, weeks.work / "payloads") as receiver:
        before = Diary.read(weeks.place).requests
        while not weeks.over:
            _under_one_champion(weeks, coming, receiver, token, before)


def write_page(weeks: Weeks, folder: Path) -> None:
    """The weeks on one page: see `sluice timeline`."""
    from sluice.report.timeline_marks import Mark
    from sluice_cli.timeline import write

    story, diary = weeks.story, Diary.read(weeks.place)
    told = f"From here on prices are {story.factor:g} times what they were; what is fraud stays as it was."
    about = (
        f"{story.weeks.capitalize()} of a simulated world in accelerated time. The endpoint was asked about "
        f"{story.share:.0%} of the transactions ({diary.asked:,}, drawn at random, in {diary.requests:,} requests); "
        f"all of them reach the source that the training run reads."
    )
    files = write(
        weeks.settings,
        folder,
        since=story.today,
        at=story.end + weeks.settings.watch.settle,
        given=[Mark(story.changed, "world", "prices rise", told)],
        about=[about],
    )
    out.print(f"report {files.report}")


def _under_one_champion(weeks: Weeks, coming: Coming, receiver: ReceiverProcess, token: str, before: int) -> None:
    """Days until another version is live, or all are over; `before` this receiver there were so many requests."""
    champion = fetch_champion(weeks.settings, weeks.work)
    servable = champion.servable()
    online = OnlineFeatures.open(servable.use_case, weeks.state, servable.schema)
    with running(champion, weeks.state, payloads=receiver.address, token=token) as endpoint:
        while not weeks.over:
            diary = _until_window_ends(weeks, Diary.read(weeks.place), coming, endpoint, online)
            receiver.settle(2 * (diary.requests - before))
            _look(weeks, weeks.story.today + diary.days * DAY)
            diary.write(weeks.place)
            if registry_for(weeks.settings).state().champion != champion.digest:
                break


def _until_window_ends(weeks: Weeks, diary: Diary, coming: Coming, endpoint: Endpoint, online: OnlineFeatures) -> Diary:
    """Live the days up to the end of a window of the monitor's."""
    story, first = weeks.story, diary.days
    with run_progress() as shown:
        while True:
            start = story.today + diary.days * DAY
            day = coming.day(start)
            grow(weeks.source, day.raw, start)
            online.materialise(*day.before)
            played = play(
                weeks.settings,
                endpoint.address,
                day.events,
                day.labels,
                asked=day.asked,
                applied=day.applied,
                online=online,
                most=story.rows,
                progress=_of_day(shown.work("weeks"), start),
            )
            diary = replace(
                diary,
                days=diary.days + 1,
                asked=diary.asked + played.asked,
                requests=diary.requests + played.requests,
                updates=diary.updates + played.updates,
            )
            if diary.days >= story.days or _window_ends(weeks.settings, start + DAY):
                break
    last = story.today + (diary.days - 1) * DAY
    out.print(
        f"days {first + 1} to {diary.days} ({story.today + first * DAY:%d %b} to {last:%d %b}): "
        f"{diary.asked:,} answers so far, in {diary.requests:,} requests"
    )
    return diary


def _look(weeks: Weeks, midnight: datetime) -> None:
    """What `sluice monitor` does, seen from the hour at which the window has settled."""
    settings, at = weeks.settings, midnight + weeks.settings.watch.settle
    registry = registry_for(settings, "monitor")
    with run_progress() as listen:
        watched = watch(registry, settings, at=at, now=datetime.now(UTC), progress=listen.work("monitor"))
    acted = act(registry, settings, at=at)
    out.print(f"[bold]the monitor, {at:%d %b %H:%M}[/]")
    out.print(monitor_text(watched, acted))
    if acted.run is not None:
        retrain(settings, acted.run, at, weeks.work, given=True, online=weeks.state)


def _prepare(weeks: Weeks) -> None:
    """The source as it is known today, and a state of its own for the endpoint; what is there is left."""
    if not to_come(weeks.data).exists():
        raise DataError(f"{weeks.data} was made without the weeks after it", "`make demo FRESH=1` makes it anew")
    weeks.place.mkdir(parents=True, exist_ok=True)
    if not weeks.state.exists():
        half = weeks.place / ".online.part"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(weeks.online, half).rename(weeks.state)
    begin_source(weeks.story, weeks.data, weeks.source)


def _coming(weeks: Weeks) -> Coming:
    story = weeks.story
    with out.status("what is to come"):
        coming = read_coming(story, weeks.settings, weeks.data, weeks.world)
    out.print(
        f"{len(coming.asked):,} of {coming.raw.height:,} transactions are asked about, drawn at random; all happen. "
        f"From {story.changed:%d %b} on prices are {story.factor:g} times what they were."
    )
    return coming


def _window_ends(settings: UseCase, midnight: datetime) -> bool:
    watched = settings.watch
    return latest_span(midnight + watched.settle, watched.window, watched.settle).end == midnight


def _of_day(listen: Progress, start: datetime) -> Progress:
    def progress(step: str, done: int, total: int, note: str = "") -> None:
        listen(step, done, total, note or f"{start:%d %b}: transactions")

    return progress
