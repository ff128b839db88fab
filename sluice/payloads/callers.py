"""Who may write to the ledger: names with the SHA-256 of their tokens, in a file that may change while it is read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any

import yaml

from sluice.errors import RequestError, SettingsError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOOK_EVERY = 1.0
_HINT = "send `Authorization: Bearer TOKEN`, or name and token in the address: http://NAME:TOKEN@host"


@dataclass(frozen=True)
class Caller:
    """Someone who may write.

    Attributes:
        name: stored beside each event.
        sha256: of the token, in hexadecimal digits.
        models: whose events they may write; None: every one's.
    """

    name: str
    sha256: str
    models: tuple[str, ...] | None = None


class Callers:
    """The callers of a file, read anew when it changes (a mounted Secret does).

    Raises:
        SettingsError: the file is missing or wrong. Once started, a wrong file leaves the callers as they were.
    """

    def __init__(self, path: Path, *, seconds: Callable[[], float] = monotonic) -> None:
        self._path, self._seconds = path, seconds
        self._known = read_callers(path)
        self._changed, self._looked = _changed(path), seconds()
        self.problem = ""

    def name_of(self, authorization: str, model: str) -> str:
        """The name of the caller with this header.

        Raises:
            RequestError: 401 without a token that is known, 403 where its owner may not write this model's events.
        """
        self._look()
        token = _token(authorization)
        if token is None:
            raise RequestError("who is asking? There is no token", HTTPStatus.UNAUTHORIZED, _HINT)
        caller = self._known.get(hashlib.sha256(token).hexdigest())
        if caller is None:
            raise RequestError("nobody here has this token", HTTPStatus.UNAUTHORIZED, _HINT)
        if caller.models is not None and model not in caller.models:
            allowed = ", ".join(caller.models) or "no model"
            raise RequestError(
                f"{caller.name} may not write events of {model}",
                HTTPStatus.FORBIDDEN,
                f"it may write those of {allowed}",
            )
        return caller.name

    def _look(self) -> None:
        now = self._seconds()
        if now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        try:
            changed = _changed(self._path)
            if changed != self._changed:
                self._known, self._changed, self.problem = read_callers(self._path), changed, ""
        except (OSError, SettingsError) as error:
            self.problem = str(error)


def read_callers(path: Path) -> dict[str, Caller]:
    """Callers by the SHA-256 of their tokens.

    Raises:
        SettingsError: the file cannot be read, or is wrong.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(str(path), ["is no YAML"]) from None
    given = document.get("callers") if isinstance(document, dict) else None
    if not isinstance(given, list) or set(document) != {"callers"}:
        raise SettingsError(str(path), ["expected a list `callers`, and nothing else"])
    problems = [line for place, each in enumerate(given) for line in _problems(f"callers.{place}", each)]
    if problems:
        raise SettingsError(str(path), problems)
    return {each["sha256"]: _caller(each) for each in given}


def _problems(where: str, given: Any) -> Iterator[str]:
    """What is wrong with an entry of the file."""
    if not isinstance(given, dict):
        yield f"{where}: expected name, sha256 and models"
        return
    for key, pattern in (("name", _NAME), ("sha256", _SHA256)):
        value = given.get(key)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            yield f"{where}.{key}: expected text of the form {pattern.pattern}"
    models = given.get("models")
    if models is not None and not (isinstance(models, list) and all(isinstance(model, str) for model in models)):
        yield f"{where}.models: expected a list of names"
    for key in sorted(map(str, set(given) - {"name", "sha256", "models"})):
        yield f"{where}.{key}: is not known"


def _caller(given: dict[str, Any]) -> Caller:
    models = given.get("models")
    return Caller(given["name"], given["sha256"], None if models is None else tuple(models))


def admit(path: Path, name: str, models: list[str] | None) -> str:
    """Add a caller to the file, or give one a new token; the token, which is stored nowhere."""
    token = secrets.token_urlsafe(32)
    known = read_callers(path).values() if path.exists() else ()
    caller = Caller(name, hashlib.sha256(token.encode()).hexdigest(), None if models is None else tuple(models))
    entry = _entry(caller)
    if problems := list(_problems(name, entry)):
        raise SettingsError(str(path), problems)
    document = {"callers": [*(_entry(each) for each in known if each.name != name), entry]}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(yaml.safe_dump(document), encoding="utf-8")
    part.replace(path)
    return token


def _entry(caller: Caller) -> dict[str, Any]:
    models = {} if caller.models is None else {"models": list(caller.models)}
    return {"name": caller.name, "sha256": caller.sha256, **models}


def _token(authorization: str) -> bytes | None:
    """The token of `Bearer TOKEN`, or the password of `Basic …`: what Go's client makes of a name in the address."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2] or None
        except (binascii.Error, ValueError):
            return None
    return None


def _changed(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino
