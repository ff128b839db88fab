"""Backup and restore as docs/operations.md has them: real MinIO, real commands, every byte proven."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import S3
from typer.testing import CliRunner

from sluice.errors import SluiceError
from sluice.registry import Keys, Registry
from sluice.settings.operation import Storage
from sluice.storage import open_store
from sluice.storage.bucket import init_store
from sluice_cli import console
from sluice_cli.main import app

FRAUD = "use_cases/fraud.yaml"
pytestmark = pytest.mark.minio


@dataclass
class Place:
    """A bucket with versions and object lock whose registry is live, and a folder for overlays."""

    s3: S3
    folder: Path
    keys: Keys
    storage: Storage

    @property
    def registry(self) -> Registry:
        """Who decides here."""
        store = open_store(self.storage)
        return Registry(store, "fraud", clock=lambda: datetime.now(UTC), actor="gate", keys=self.keys)

    def promote(self, content: bytes) -> None:
        """A version becomes the champion, with evidence."""
        folder = self.folder / secrets.token_hex(4)
        folder.mkdir()
        (folder / "model.onnx").write_bytes(content)
        version = self.registry.add_version(folder, {"seed": 1})
        champion = self.registry.champion()
        against = champion.digest if champion else None
        self.registry.settle("promoted", version=version.digest, against=against, evidence={"verdict.json": b"{}"})

    def overlay(self, name: str, storage: Storage) -> str:
        """A file with this storage."""
        path = self.folder / f"{name}.yaml"
        kept = storage.model_dump(mode="json", include={"url", "endpoint", "allow_http"}, exclude_none=True)
        path.write_text(yaml.safe_dump({"storage": {**kept, "keys": str(self.keys.folder)}}))
        return str(path)


@pytest.fixture
def place(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(console.out, "width", 200)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    storage = s3.storage(f"copy-{secrets.token_hex(6)}")
    init_store(storage)
    made = Place(s3, tmp_path, Keys.ensure(tmp_path / "keys"), storage)
    made.promote(b"one")
    return made


def sluice(*words: str) -> tuple[int, str]:
    """Exit status, and what it says; the command's own errors, which its entry point prints, belong to that."""
    result = CliRunner().invoke(app, list(words))
    error = result.exception
    assert error is None or isinstance(error, SystemExit | SluiceError), error
    return result.exit_code, " ".join(f"{result.output} {error or ''}".split())


def contents(storage: Storage) -> dict[str, bytes]:
    store = open_store(storage)
    return {key: store.get(key) for key in sorted(store.keys())}


def test_a_backup_is_proven_and_restored_into_an_empty_bucket(place: Place) -> None:
    here = place.overlay("here", place.storage)
    backup = place.overlay("backup", Storage(url=str(place.folder / "backup")))
    open_store(place.storage).put("checkpoints/work", b"done again when it is gone")
    code, said = sluice("copy", FRAUD, "--overlay", here, "--to", backup)
    assert code == 0 and " 0 were there already" in said
    assert sluice("verify", FRAUD, "--overlay", backup)[0] == 0

    # The next night: only what is new.
    place.promote(b"two")
    code, said = sluice("copy", FRAUD, "--overlay", here, "--to", backup)
    assert code == 0 and "copied 0 " not in said and " 0 were there already" not in said
    code, said = sluice("copy", FRAUD, "--overlay", here, "--to", backup)
    assert code == 0 and "copied 0 objects" in said

    new = place.s3.storage(f"copy-{secrets.token_hex(6)}")
    restored = place.overlay("restored", new)
    assert sluice("init", FRAUD, "--overlay", restored)[0] == 0
    assert sluice("copy", FRAUD, "--overlay", backup, "--to", restored)[0] == 0
    code, said = sluice("verify", FRAUD, "--overlay", restored)
    assert code == 0 and "sound" in said and "2 decisions" in said
    kept = {key: data for key, data in contents(place.storage).items() if not key.startswith("checkpoints/")}
    assert contents(new) == kept
    # Decisions are locked again, and the story is told from the copy.
    bucket = new.url.removeprefix("s3://")
    retention = place.s3.client.get_object_retention(bucket, "registry/fraud/log/00000001.json")
    assert retention is not None and retention.retain_until_date > datetime.now(UTC)
    champion = place.registry.champion()
    assert champion is not None
    assert champion.digest[:8] in sluice("why", FRAUD, "--overlay", restored)[1]


def test_a_copy_that_went_its_own_way_is_not_overwritten(place: Place) -> None:
    other = Storage(url=str(place.folder / "other"))
    changed: Any = Place(place.s3, place.folder, place.keys, other)
    changed.promote(b"another")
    before = contents(other)["registry/fraud/log/00000001.json"]
    words = ("--overlay", place.overlay("here", place.storage), "--to", place.overlay("other", other))
    code, said = sluice("copy", FRAUD, *words)
    assert code != 0 and "is another decision than" in said
    assert contents(other)["registry/fraud/log/00000001.json"] == before


def test_damage_is_not_copied(place: Place) -> None:
    store = open_store(place.storage)
    blob = sorted(store.keys("blobs"))[0]
    store.put(blob, b"something else")
    backup = place.overlay("backup", Storage(url=str(place.folder / "backup")))
    code, said = sluice("copy", FRAUD, "--overlay", place.overlay("here", place.storage), "--to", backup)
    assert code != 0 and blob in said
    assert not (place.folder / "backup" / blob).exists()


def test_a_store_is_not_copied_into_itself(place: Place) -> None:
    here = place.overlay("here", place.storage)
    code, said = sluice("copy", FRAUD, "--overlay", here, "--to", here)
    assert code != 0 and "into itself" in said
