"""The rules, by their properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sluice.settings.watch import Rules
from sluice.watch.rules import WEEK, Action, Window, rule

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
VIOLATIONS = st.frozensets(st.sampled_from(["drift", "performance"]))
FAULTS = st.sampled_from([(), (), (), ("amount",)])
SETTINGS = st.builds(
    lambda of, violated, cool, budget, on: Rules(
        of=of, violated=min(violated, of), cool_down=cool * DAY, runs_a_week=budget, on=on
    ),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 10),
    st.integers(0, 3),
    st.sampled_from([["drift"], ["performance"], ["drift", "performance"]]),
)
SERIES = st.lists(st.one_of(st.none(), st.tuples(VIOLATIONS, FAULTS)), min_size=1, max_size=25)


def played(series: list[tuple[frozenset[str], tuple[str, ...]] | None], settings: Rules) -> list[tuple[int, Action]]:
    """Look at a day's window each day, as a monitor does; None: the monitor was away."""
    windows, actions = [], []
    for number, one in enumerate(series):
        if one is None:
            continue
        at = START + number * DAY
        windows.append(Window(at, *one))
        ruling = rule(windows, [a for _, a in actions], settings, length=DAY, at=at)
        if ruling.act is not None and ruling.cause is not None:
            actions.append((number, Action(ruling.act, ruling.cause, at)))
    return actions


@given(SERIES, SETTINGS)
def test_a_run_needs_enough_violated_windows_the_latest_among_them_and_none_broken(series, settings: Rules) -> None:  # type: ignore[no-untyped-def]
    for number, action in played(series, settings):
        last = [one for one in series[max(0, number - settings.of + 1) : number + 1] if one is not None]
        latest = series[number]
        assert latest is not None
        if action.cause == "data-fault":
            assert action.kind == "alerted" and latest[1]
            continue
        assert latest[0] & set(settings.on)
        assert sum(bool(found & set(settings.on)) and not faults for found, faults in last) >= settings.violated
        if action.kind == "retraining":
            assert not any(faults for _, faults in last)


@given(SERIES, SETTINGS)
def test_runs_keep_to_the_budget_and_cool_down(series, settings: Rules) -> None:  # type: ignore[no-untyped-def]
    runs = [action.at for _, action in played(series, settings) if action.kind == "retraining"]
    for run in runs:
        assert sum(run <= other < run + WEEK for other in runs) <= settings.runs_a_week
        assert all(other == run or abs(other - run) >= settings.cool_down for other in runs)


@given(st.lists(st.tuples(VIOLATIONS, FAULTS), min_size=1, max_size=8), SETTINGS)
def test_what_is_stopped_is_never_trained(series, settings: Rules) -> None:  # type: ignore[no-untyped-def]
    windows = [Window(START + n * DAY, *one) for n, one in enumerate(series)]
    ruling = rule(windows, [], settings, length=DAY, at=windows[-1].end, stopped="frozen: audit")
    assert ruling.act != "retraining"
    if ruling.act == "alerted" and ruling.cause == "violated":
        assert ruling.held == "frozen: audit"
