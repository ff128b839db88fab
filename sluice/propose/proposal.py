"""A proposal, and the files that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from sluice.errors import DataError
from sluice.propose.looking import Look
from sluice.propose.roles import Role
from sluice.settings import parse_use_case
from sluice.settings.base import format_duration

WINDOWS = {"1h": "hours=1", "6h": "hours=6", "1d": "days=1", "7d": "days=7", "30d": "days=30"}
LONG = {"1h": timedelta(hours=1), "6h": timedelta(hours=6)} | {f"{n}d": timedelta(days=n) for n in (1, 7, 30)}
TILES_FROM = 5000
"""An id with more rows than this gets windows in tiles of one hour: its state stays small."""


@dataclass(frozen=True)
class Proposal:
    """Roles with reasons, the task, and what was seen of time and labels."""

    source: str
    roles: tuple[Role, ...]
    looks: dict[str, Look]
    task: str
    classes: list[str]
    delay: timedelta | None
    span: timedelta | None
    busiest: dict[str, int]
    label_lag: timedelta | None
    positives: float

    @property
    def entities(self) -> list[str]:
        """Names of the entities that windows are made for: those with time."""
        return [role.name for role in self.roles if role.role == "entity"] if self.span is not None else []

    @property
    def notes(self) -> list[str]:
        """What a person should look at first."""
        said = [
            f"{look.name} looks like {look.time_in}: write it as ISO 8601, 2018-04-01T00:00:31Z, to use it as a time"
            for look in self.looks.values()
            if look.time_in
        ]
        if self.span is not None and self.label_lag is None and self.delay is None:
            said.append("nothing says when labels arrive; delay 0s means at once: correct data.labels.delay")
        if self.span is not None and not self.entities:
            said.append("no column looks like an entity: there are no windows")
        if any(role.role == "label" and self.looks[role.column].distinct < 2 for role in self.roles):
            said.append("the label has one value only: there is nothing to learn from this table")
        if not any(role.role == "event_id" for role in self.roles):
            said.append("no column is an id of its own: ids are made of the rows' contents")
        return said

    def write(self, name: str, folder: Path, *, overwrite: bool = False) -> Path:
        """Write `<folder>/<name>.yaml` and, with entities, the Feast repository `<folder>/<name>/`.

        Returns:
            The path of the use case file, checked as `read_use_case` would.

        Raises:
            DataError: the file is there already.
            SettingsError: the name or the given roles do not make a valid use case.
        """
        path, repo = folder / f"{name}.yaml", folder / name.replace("-", "_")
        if path.exists() and not overwrite:
            raise DataError(f"{path} is there already", "take another name, or remove it first")
        facts = self._facts(name, path, repo if self.entities else None)
        texts = Environment(
            loader=PackageLoader("sluice.propose"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
        )
        text = texts.get_template("use_case.yaml.jinja").render(facts)
        parse_use_case(yaml.safe_load(text), str(path))
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if self.entities:
            repo.mkdir(exist_ok=True)
            store = texts.get_template("feature_store.yaml").render(project=name.replace("-", "_"))
            (repo / "feature_store.yaml").write_text(store, encoding="utf-8")
            windows = texts.get_template("features.py.jinja").render(self._windows(name, facts["service"]))
            (repo / "features.py").write_text(windows, encoding="utf-8")
        return path

    def _facts(self, name: str, path: Path, repo: Path | None) -> dict[str, Any]:
        single = [r for r in self.roles if r.role in ("event_id", "event_time", "arrival", "label", "label_time")]
        values = [role for role in self.roles if role.role == "value"]
        return {
            "name": name,
            "file": path,
            "source": self.source,
            "task": self.task,
            "notes": self.notes,
            "single": [(r.role, r.column, r.reason) for r in single],
            "entities": [(r.name, r.column, r.reason) for r in self.roles if r.role == "entity"],
            "values": [(r.name, _flow(_value_settings(r, self.looks[r.column])), r.reason) for r in values],
            "personal": [(r.column, r.treatment, r.reason) for r in self.roles if r.treatment],
            "ignored": [(r.column, r.reason) for r in self.roles if r.role == "ignored"],
            "delay": self._delay(),
            "classes": self.classes,
            "repo": None if repo is None else repo.as_posix(),
            "service": f"{name.replace('-', '_')}_v1",
            "request": [_flow(feature) for feature in self._request(values)],
            "split": _flow(self._split()),
            "metric": self._metric(),
            "margin": MARGIN if next(iter(self.looks.values())).rows >= MANY else MARGIN_OF_FEW,
            "cluster": self.entities[0] if self.entities else "row" if self.span is None else "day",
            "slices": [r.name for r in values if self.looks[r.column].kind == "text"][:3],
            "batch": 256 if next(iter(self.looks.values())).rows < 100_000 else 2048,
        }

    def _delay(self) -> str | None:
        if self.span is None or any(role.role == "label_time" for role in self.roles):
            return None if self.delay is None else format_duration(self.delay)
        return format_duration(self.delay or timedelta())

    def _metric(self) -> str:
        if self.task == "regression":
            return "rmse"
        return "log_loss" if self.task == "multiclass" else "average_precision" if self.positives < 0.2 else "roc_auc"

    def _split(self) -> dict[str, Any]:
        """A tenth to validate, a seventh to test, half to train; in whole days, or hours where there are few."""
        if self.span is None:
            return {"by": "random", "validation": 0.2, "test": 0.2}
        gap = self.label_lag or self.delay or timedelta()
        whole = timedelta(days=1) if self.span > timedelta(days=30) else timedelta(hours=1)
        whole = whole if self.span > timedelta(days=1) else timedelta(seconds=1)
        left = self.span - gap
        parts = {name: format_duration(max(whole, left * share // whole * whole)) for name, share in SHARES.items()}
        return {"by": "time", **parts, "gap": format_duration(gap)}

    def _request(self, values: list[Role]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"kind": "value", "name": r.name, "column": r.name} for r in values]
        if self.span is not None:
            taken = {role.name for role in self.roles}
            found += [{"kind": "weekend", "name": "weekend"}] if "weekend" not in taken else []
            night = {"kind": "hours", "name": "night", "from_hour": 0, "to_hour": 6}
            found += [night] if "night" not in taken else []
        return found

    def _windows(self, name: str, service: str) -> dict[str, Any]:
        assert self.span is not None
        span = self.span
        fitting = [text for text, long in LONG.items() if long * 4 <= span][-3:] or ["1h"]
        numbers = [r for r in self.roles if r.role == "value" and _value_settings(r, self.looks[r.column]).get("unit")]
        return {
            "name": name,
            "service": service,
            "entities": self.entities,
            "windows": {text: WINDOWS[text] for text in fitting},
            "summed": [role.name for role in numbers][:3],
            "hops": {e: "HOUR" if self.busiest[e] > TILES_FROM else "EXACT" for e in self.entities},
            "label_windows": self.task == "binary",
        }


MARGIN, MARGIN_OF_FEW, MANY = 0.002, 0.02, 50_000
"""With few rows the best on validation is often best by luck: a wider margin takes the simpler candidate."""
SHARES = {"train": 0.5, "validation": 0.1, "test": 0.15}


def _value_settings(role: Role, look: Look) -> dict[str, Any]:
    settings: dict[str, Any] = {"column": role.column} if role.name != role.column else {}
    if look.kind == "text":
        settings["type"] = "category"
    elif look.kind == "boolean" or (look.kind == "whole" and (look.low, look.high) == (0.0, 1.0)):
        settings["type"] = "boolean"
    elif look.unit is not None:
        settings["unit"] = look.unit
    if look.missing:
        settings["missing"] = "keep"
    return settings


def _flow(document: dict[str, Any]) -> str:
    """One line of YAML."""
    return yaml.safe_dump(document, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True).strip()
