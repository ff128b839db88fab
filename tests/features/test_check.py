"""Features that could not be computed are refused before any work, all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.errors import SettingsError
from sluice.features.check import check_service
from sluice.settings import UseCase

Case = Callable[..., UseCase]

HEAD = """
from datetime import timedelta
from feast import Entity, FeatureService, FileSource, PushSource, StreamFeatureView, ValueType
from feast.aggregation import Aggregation
from sluice.features.state import state_view, watermark_view, window_fields
from sluice.windows.definition import EXACT

DAY = timedelta(days=1)
card = Entity(name="card", join_keys=["card"], value_type=ValueType.STRING)
events = PushSource(name="p", batch_source=FileSource(name="events", path="e.parquet", timestamp_field="event_time"))

def view(name, *aggregations, tags=None):
    return StreamFeatureView(name=name, entities=[card], source=events, timestamp_field="event_time", online=False,
                             aggregations=list(aggregations), schema=window_fields(card, aggregations), tags=tags)

def agg(name, column, function, window=DAY, hop=EXACT):
    return Aggregation(name=name, column=column, function=function, time_window=window, slide_interval=hop)
"""
STATE = "\na_state = state_view(a, card)\nstream, streams_state = watermark_view()\n"


@pytest.fixture
def repo(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "feature_store.yaml").write_text("project: p\nprovider: local\nregistry: r.db\n")
        (tmp_path / "features.py").write_text(HEAD + text)
        return str(tmp_path)

    return write


def problems(case: UseCase) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        check_service(case)
    return caught.value.problems


def test_the_repository_of_the_project_is_fine(use_case: UseCase) -> None:
    check_service(use_case)


def test_request_features_alone_are_fine(make_case: Case) -> None:
    check_service(make_case(repo=None, service=None, request=[{"kind": "value", "name": "a", "column": "amount"}]))


def test_a_small_repository_is_fine(make_case: Case, repo: Callable[[str], str]) -> None:
    path = repo('a = view("a", agg("n", "event_id", "count"))' + STATE + 's = FeatureService(name="s", features=[a])')
    check_service(make_case(repo=path, service="s", request=[]))


def test_an_unknown_service_is_told_with_the_known_ones(make_case: Case) -> None:
    (problem,) = problems(make_case(service="fraud_v9"))
    assert "'fraud_v9'" in problem
    assert "fraud_v1" in problem


def test_no_repository(make_case: Case, tmp_path: Path) -> None:
    (problem,) = problems(make_case(repo=str(tmp_path)))
    assert "no feature_store.yaml" in problem


def test_refused_windows_are_told_together(make_case: Case, repo: Callable[[str], str]) -> None:
    views = """
a = view("a", agg("last", "amount", "last"), agg("whole", "amount", "sum", hop=DAY))
b = view("b", agg("worst", "label", "max"), tags={"stream": "labels"})
"""
    path = repo(views + 's = FeatureService(name="s", features=[a, b])')
    told = "\n".join(problems(make_case(repo=path, service="s", request=[])))
    assert "unknown function 'last'" in told
    assert "whole: no slide_interval" in told
    assert "worst: max over the label stream" in told


def test_columns_that_the_events_do_not_have(make_case: Case, repo: Callable[[str], str]) -> None:
    view = 'a = view("a", agg("total", "price", "sum"), agg("shops", "terminal", "mean"))'
    path = repo(view + STATE + 's = FeatureService(name="s", features=[a])')
    told = problems(make_case(repo=path, service="s", request=[]))
    assert len(told) == 2
    assert "no column 'price'" in told[0]
    assert "mean of 'terminal'" in told[1]


def test_missing_online_views(make_case: Case, repo: Callable[[str], str]) -> None:
    path = repo('a = view("a", agg("n", "event_id", "count"))\ns = FeatureService(name="s", features=[a])')
    told = problems(make_case(repo=path, service="s", request=[]))
    assert [("a_state" in told[0]), ("streams_state" in told[1])] == [True, True]


def test_an_entity_that_the_events_do_not_have(make_case: Case, repo: Callable[[str], str]) -> None:
    text = 'a = view("a", agg("n", "event_id", "count"))' + STATE + 's = FeatureService(name="s", features=[a])'
    path = repo(text)
    file = Path(path) / "features.py"
    file.write_text(file.read_text().replace('"card"', '"shop"'))
    (problem,) = problems(make_case(repo=path, service="s", request=[]))
    assert "'shop' is not among data.columns.entities" in problem


def test_names_of_request_features(make_case: Case) -> None:
    told = problems(
        make_case(
            request=[
                {"kind": "value", "name": "card_count_1d", "column": "amount"},
                {"kind": "ratio", "name": "r", "numerator": "amount", "denominator": "card_mean"},
            ],
            fills={"nothing": 0.0},
        )
    )
    assert [t.split(":")[0] for t in told] == [
        "features.request.0.name",
        "features.request.1.denominator",
        "features.fills.nothing",
    ]
