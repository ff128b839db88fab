"""The write-ahead spool: events lie on a local volume, synced, before they are acknowledged, until the store has them.

A segment is a file of records: length, CRC-32, then a line of JSON about the event and its body. One is written, the
others are sealed and go to the store. What a kill tore off at the end of a segment was never acknowledged.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from time import time_ns
from typing import BinaryIO

import orjson

from sluice.errors import StoreError
from sluice.payloads.events import Event

_HEAD = struct.Struct("<II")
_SEGMENT, _KEYS, _ASIDE = ".wal", ".keys", ".aside"
_KEY = 16


def record(model: str, caller: str, event: Event) -> bytes:
    """An event as it lies in a segment."""
    about = {
        "model": model,
        "caller": caller,
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "time": event.time.isoformat(),
        "service": event.service,
        "endpoint": event.endpoint,
    }
    content = b"%b\n%b" % (orjson.dumps(about), event.data)
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def records(segment: Path) -> Iterator[tuple[str, str, Event]]:
    """Model, caller and event of each whole record, in order; what was torn off at the end is left out."""
    with segment.open("rb") as file:
        while (content := _next(file)) is not None:
            line, _, data = content.partition(b"\n")
            about = orjson.loads(line)
            model, caller = about.pop("model"), about.pop("caller")
            yield model, caller, Event(**{**about, "time": datetime.fromisoformat(about["time"])}, data=data)


class Spool:
    """The segments in a folder, which one process has. Written to from one thread at a time.

    Args:
        remember: keys of events that the store has are kept for the latest so many, at least.

    Raises:
        StoreError: the folder cannot be written, or another receiver has it.
    """

    def __init__(self, folder: Path, remember: int) -> None:
        self._folder, self._remember = folder, remember
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{folder}: another receiver has this spool", "give each one a volume of its own"
            ) from None
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}", "give the receiver a folder that it may write") from None
        self.sealed: list[Path] = sorted(folder.glob(f"*{_SEGMENT}"))
        self._sizes = {path: path.stat().st_size for path in self.sealed}
        self._names = {path: path.stat().st_size // _KEY for path in sorted(folder.glob(f"*{_KEYS}"))}
        self._file: BinaryIO | None = None
        self._path = folder
        self._written = 0

    @property
    def size(self) -> int:
        """Bytes that wait for the store."""
        return sum(list(self._sizes.values())) + self._written

    @property
    def open_size(self) -> int:
        """Bytes in the segment that is written to."""
        return self._written

    def append(self, batch: Sequence[bytes]) -> None:
        """Write records and sync them: when this returns they survive a power cut.

        Raises:
            OSError: the disk is full or broken; none of the batch counts as written.
        """
        file = self._file or self._open()
        try:
            _write_all(file.fileno(), b"".join(batch))
            os.fdatasync(file.fileno())
        except OSError:
            # After a failed sync nobody knows what is on the disk: this segment ends before the batch.
            self._abandon(file)
            raise
        self._written += sum(map(len, batch))

    def seal(self) -> None:
        """End the segment that is written to; it may go to the store."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._written:
            self._sizes[self._path] = self._written
            self.sealed.append(self._path)
        else:
            self._path.unlink(missing_ok=True)
        self._written = 0

    def age_us(self, now_us: int) -> int:
        """Microseconds since the oldest segment that waits was begun; 0 when none does."""
        waiting = [*self.sealed[:1], *([self._path] if self._written else [])]
        return max(0, now_us - min(_begun_us(path) for path in waiting)) if waiting else 0

    @property
    def open_since_us(self) -> int:
        """When the segment that is written to was begun."""
        return _begun_us(self._path) if self._written else time_ns() // 1000

    def done(self, segment: Path, keys: Sequence[bytes]) -> None:
        """The store has a segment: its events' keys stay, the segment goes."""
        names = segment.with_suffix(_KEYS)
        part = names.with_suffix(".part")
        part.write_bytes(b"".join(keys))
        part.replace(names)
        segment.unlink()
        self.sealed.remove(segment)
        self._sizes.pop(segment, None)
        self._names[names] = len(keys)
        while sum(self._names.values()) - self._names[oldest := next(iter(self._names))] >= self._remember:
            oldest.unlink()
            del self._names[oldest]

    def set_aside(self, segment: Path) -> Path:
        """A segment that cannot be made into tables: it stays in the folder under another name, for a person."""
        aside = segment.replace(segment.with_suffix(_ASIDE))
        self.sealed.remove(segment)
        self._sizes.pop(segment, None)
        return aside

    def stored_keys(self) -> Iterator[bytes]:
        """Keys of the latest events that the store has, oldest first."""
        for path in self._names:
            data = path.read_bytes()
            yield from (data[start : start + _KEY] for start in range(0, len(data), _KEY))

    def close(self) -> None:
        """Seal, and let another process have the folder."""
        self.seal()
        self._lock.close()

    def _open(self) -> BinaryIO:
        # A name that no other segment ever has: the store's files are called by it.
        self._path = self._folder / f"{time_ns() // 1000:017d}-{secrets.token_hex(4)}{_SEGMENT}"
        self._file = self._path.open("xb", buffering=0)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._file

    def _abandon(self, file: BinaryIO) -> None:
        try:
            os.ftruncate(file.fileno(), self._written)
        except OSError:
            pass
        finally:
            self.seal()


def _next(file: BinaryIO) -> bytes | None:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    content = file.read(length)
    return content if len(content) == length and zlib.crc32(content) == checksum else None


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _begun_us(path: Path) -> int:
    return int(path.name.split("-", 1)[0])
