"""Whether a use case's features can be had, asked before any work: all problems at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from feast import FeatureView

from sluice.errors import FeatureError, SettingsError
from sluice.features.repository import Part, Repository, Service, read_repository, service_of
from sluice.features.state import STATE_SUFFIX, STREAMS_STATE
from sluice.settings import UseCase
from sluice.settings.features import RatioFeature

_EVENT_COLUMNS = ("event_id", "event_time", "arrival")
_LABEL_COLUMNS = ("event_id", "event_time", "label", "label_time")


def check_service(use_case: UseCase, *, root: Path | None = None) -> None:
    """Refuse features that could not be computed later.

    Args:
        root: folder that `features.repo` is relative to; default: the working directory.

    Raises:
        SettingsError: the repository, the service, its windows or the request features are wrong; all problems.
    """
    names: tuple[str, ...] = ()
    problems: list[str] = []
    features = use_case.features
    if features.repo is not None and features.service is not None:
        try:
            repository = read_repository(Path(root or "") / features.repo)
            service = service_of(repository, features.service)
        except SettingsError as error:
            raise SettingsError("features", error.problems) from None
        except FeatureError as error:
            raise SettingsError("features", [f"features.repo: {error.message}"]) from None
        names = service.names
        problems += _of_windows(use_case, service)
        problems += _of_state(repository, service)
    problems += _of_names(use_case, names)
    if problems:
        raise SettingsError("features", problems)


def _of_windows(use_case: UseCase, service: Service) -> Iterator[str]:
    columns = use_case.data.columns
    entities = tuple(columns.entities)
    for part in service.parts:
        if part.join_key not in entities:
            yield f"feature view {part.view.name}: entity {part.join_key!r} is not among data.columns.entities"
        if part.windows is not None:
            if columns.event_time is None:
                yield f"feature view {part.view.name}: windows need data.columns.event_time"
            there = _LABEL_COLUMNS if part.windows.stream == "labels" else (*_EVENT_COLUMNS, *columns.values)
            yield from _of_columns(use_case, part, (*there, *entities))


def _of_columns(use_case: UseCase, part: Part, there: tuple[str, ...]) -> Iterator[str]:
    assert part.windows is not None
    values = use_case.data.columns.values
    for aggregation in part.windows.aggregations:
        column, where = aggregation.column, f"feature view {part.view.name}: {aggregation.name}"
        if column not in there:
            yield f"{where}: the {part.windows.stream} have no column {column!r}; they have {', '.join(there)}"
        elif column in part.windows.numeric_columns and column != "label":
            kind = values[column].type if column in values else "no value"
            if kind not in ("number", "boolean"):
                yield f"{where}: {aggregation.function} of {column!r}, which is {kind}; count takes any column"


def _of_state(repository: Repository, service: Service) -> Iterator[str]:
    twins = [f"{part.view.name}{STATE_SUFFIX}" for part in service.windows]
    for name in (*twins, *((STREAMS_STATE,) if twins else ())):
        if repository.find(FeatureView, name) is None:
            advice = "add state_view(…) and watermark_view() of sluice.features.state"
            yield f"features.repo: no feature view {name}; {advice}"


def _of_names(use_case: UseCase, windows: tuple[str, ...]) -> Iterator[str]:
    known = {*windows, *use_case.data.columns.values}
    for name in sorted({n for n in windows if windows.count(n) > 1}):
        yield f"features.service: two features are called {name!r}"
    for i, feature in enumerate(use_case.features.request):
        if feature.name in windows:
            yield f"features.request.{i}.name: the feature service has a feature {feature.name!r} already"
        if isinstance(feature, RatioFeature):
            for side in ("numerator", "denominator"):
                name = getattr(feature, side)
                if name not in known:
                    yield f"features.request.{i}.{side}: {name!r} is neither a value nor a feature named before it"
                elif name in use_case.data.columns.values and use_case.data.columns.values[name].type == "category":
                    yield f"features.request.{i}.{side}: {name!r} is a category"
        known.add(feature.name)
    for name in use_case.features.fills:
        if name not in {*windows, *(f.name for f in use_case.features.request)}:
            yield f"features.fills.{name}: there is no such feature"
