"""Read a Feast repository's definitions, and find what a feature service asks for.

Only definitions are read here: no registry, no store, no data. Two repositories may be read in one process.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from feast import Entity, FeatureService, FeatureView, StreamFeatureView
from feast.data_source import DataSource
from feast.repo_operations import get_repo_files

from sluice.digests import of_json
from sluice.errors import FeatureError, SettingsError
from sluice.settings import UseCase
from sluice.windows.definition import WindowView, view_from_feast

Found = TypeVar("Found")
_KINDS = (DataSource, Entity, FeatureView, FeatureService)


@contextmanager
def quiet_feast() -> Iterator[None]:
    """Feast warns at each stream feature view that it is experimental: said once, in docs/decisions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Stream feature views are experimental", category=RuntimeWarning)
        yield


@dataclass(frozen=True)
class Repository:
    """The definitions of one repository."""

    path: Path
    objects: tuple[Any, ...]

    def find(self, kind: type[Found], name: str) -> Found | None:
        """The object of that kind and name, if there is one."""
        return next((o for o in self.objects if isinstance(o, kind) and cast(Any, o).name == name), None)


@dataclass(frozen=True)
class Part:
    """One view of a service. `windows` is None for an ordinary feature view, which Feast joins."""

    view: FeatureView
    windows: WindowView | None
    names: tuple[str, ...]

    @property
    def join_key(self) -> str:
        """The entity column that the view is joined by."""
        return str(self.view.join_keys[0])


@dataclass(frozen=True)
class Service:
    """A feature service: its views in order, and the features that they give in order."""

    name: str
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of the service's views and of their aggregations."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def windows(self) -> tuple[Part, ...]:
        """The parts answered by windows."""
        return tuple(part for part in self.parts if part.windows is not None)

    @property
    def joined(self) -> tuple[Part, ...]:
        """The ordinary feature views beside the windows."""
        return tuple(part for part in self.parts if part.windows is None)

    def of_entity(self, entity: str) -> tuple[Part, ...]:
        """The parts that are joined by an entity."""
        return tuple(part for part in self.parts if part.join_key == entity)

    @property
    def digest(self) -> str:
        """Digest of what the windows are: a service that changes gets state of its own."""
        return of_json([repr(part.windows) for part in self.windows])


def read_repository(path: Path) -> Repository:
    """The definitions in the Python files of a Feast repository.

    Raises:
        FeatureError: no repository there, or one of its files fails.
    """
    if not (path / "feature_store.yaml").is_file():
        raise FeatureError(f"{path} is no Feast repository: it has no feature_store.yaml", "set features.repo")
    objects: dict[int, Any] = {}
    with quiet_feast(), _importable(path.resolve()):
        for file in get_repo_files(path.resolve()):
            module = _load(file)
            objects |= {id(o): o for o in vars(module).values() if isinstance(o, _KINDS)}
    return Repository(path, tuple(objects.values()))


def service_of(repository: Repository, name: str) -> Service:
    """The feature service `name` of a repository.

    Raises:
        SettingsError: no such service, or views that cannot be used; all problems at once.
    """
    service = repository.find(FeatureService, name)
    if service is None:
        known = [o.name for o in repository.objects if isinstance(o, FeatureService)]
        message = f"features.service: {repository.path} has no feature service {name!r}; it has {', '.join(known)}"
        raise SettingsError("feature service", [message])
    parts: list[Part] = []
    problems: list[str] = []
    for projection in service.feature_view_projections:
        view = repository.find(FeatureView, projection.name)
        try:
            parts.append(_part(view, {field.name for field in projection.features}))
        except (SettingsError, FeatureError) as error:
            problems += getattr(error, "problems", [f"feature view {projection.name}: {error.message}"])
    if problems:
        raise SettingsError(f"feature service {name}", problems)
    return Service(name, tuple(parts))


def read_service(use_case: UseCase, root: Path | None = None) -> Service | None:
    """The use case's feature service; None where it has request features only.

    Args:
        root: folder that `features.repo` is relative to; default: the working directory.
    """
    features = use_case.features
    if features.repo is None or features.service is None:
        return None
    return service_of(read_repository(Path(root or "") / features.repo), features.service)


def _part(view: FeatureView | None, chosen: set[str]) -> Part:
    if view is None:
        raise FeatureError("the service names it, but no file of the repository defines it")
    if len(view.join_keys) != 1:
        raise FeatureError("views with more than one join key are not served", "one entity a view")
    if isinstance(view, StreamFeatureView) and view.aggregations:
        windows = view_from_feast(view)
        return Part(view, windows, tuple(a.name for a in windows.aggregations if a.name in chosen))
    return Part(view, None, tuple(field.name for field in view.features if field.name in chosen))


@contextmanager
def _importable(path: Path) -> Iterator[None]:
    """Files of the repository may import one another; nothing of it stays importable afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(path):
                del sys.modules[name]


def _load(file: Path) -> ModuleType:
    if file.stem in sys.modules and Path(str(sys.modules[file.stem].__file__)).resolve() == file:
        return sys.modules[file.stem]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get(file.stem)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except SettingsError:
        raise
    except Exception as error:
        raise FeatureError(f"{file}: {type(error).__name__}: {error}", "correct the repository's file") from error
    finally:
        if previous is not None:
            sys.modules[file.stem] = previous
    return module


def refuse_other_windows(use_case: UseCase, digest: str | None, root: Path | None = None) -> None:
    """Refuse a repository whose windows are no longer those that a version was trained with.

    Args:
        digest: `Service.digest` as the version's document holds it; None: the version pins no windows.
        root: folder that `features.repo` is relative to; default: the working directory.

    Raises:
        FeatureError: the repository defines the service's windows otherwise.
    """
    service = read_service(use_case, root)
    if digest is not None and (service is None or service.digest != digest):
        raise FeatureError(
            f"{use_case.features.repo} defines other windows for {use_case.features.service} than the version was "
            "trained with",
            "serve it with the repository of its time, and give new windows a feature service of their own",
        )
