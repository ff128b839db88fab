"""A store that is full, read-only, gone, or written by many at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

from faulted.fault import Fault, SkippedError, refused, require
from faulted.place import Place
from sluice.errors import ConflictError
from sluice.registry import RunLog


def _gone(place: Place) -> str:
    use_case = place.copy("gone")
    registry, folder = place.registry(use_case), Path(use_case.storage.url)
    champion = registry.champion()
    assert champion is not None
    folder.rename(folder.with_name("elsewhere"))
    with refused("lost entries") as told:
        registry.settle("refused", version=champion.digest, against=champion.digest)
    with refused("has no champion"):
        place.registry(use_case).fetch_champion(place.folder / "never")
    shutil.rmtree(folder)
    folder.with_name("elsewhere").rename(folder)
    place.check_sound(use_case)
    require(place.registry(use_case).champion() == champion, "back again, the champion is another")
    return f"{told[0].replace(str(place.folder), '…')}; back again: sound"


def _privately() -> list[str]:
    """Words before a command that may mount what nobody else sees."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        raise SkippedError("no private mounts on this machine (unshare --mount)")
    return alone


def _read_only(place: Place) -> str:
    folder, alone = place.folder / "store", _privately()
    before = place.champion()
    script = f'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec "$@"'
    ended = place.run(before=[*alone, "bash", "-c", script, "run"])
    require(ended.status == 1, f"the run ended with {ended.status}")
    require("step plan" in ended.said and "read-only" in ended.said, f"it said {ended.said[-300:]}")
    require(place.champion() == before, "the champion changed")
    return f"step plan stops: the disk is read-only; exit status {ended.status}"


_FILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sluice.errors import StoreError
from sluice.registry import verify
from sluice.settings import read_use_case
from sluice.registry import open_registry
use_case = read_use_case(Path(sys.argv[1]))
registry = open_registry(use_case, clock=lambda: datetime.now(UTC), actor="gate")
champion, head, versions = registry.champion(), registry.head(), registry.versions()
large = Path(sys.argv[2])
large.mkdir()
(large / "model.onnx").write_bytes(bytes(4_000_000))
try:
    registry.add_version(large, {})
except StoreError as error:
    print(error.message)
assert verify(registry.store, registry.keys).sound
assert (registry.champion(), registry.head(), registry.versions()) == (champion, head, versions)
"""


def _full(place: Place) -> str:
    alone, use_case = _privately(), place.copy("full")
    folder, aside = use_case.storage.url, place.folder / "aside"
    settings = place.write_settings(use_case)
    code = place.folder / "fill.py"
    code.write_text(_FILL)
    shutil.rmtree(aside, ignore_errors=True)
    script = f"""set -e
mv {folder} {aside}
mkdir {folder}
mount -t tmpfs -o size=$(( $(du -sk {aside} | cut -f1) + 1024 ))k tmpfs {folder}
cp -r {aside}/. {folder}
exec {sys.executable} {code} {settings} {place.folder / "large"}
"""
    done = subprocess.run([*alone, "bash", "-c", script], capture_output=True, text=True, check=False)
    require(done.returncode == 0, done.stderr[-500:])
    require("the disk is full" in done.stdout, f"it said {done.stdout[-300:]!r}")
    return f"{done.stdout.strip().replace(str(place.folder), '…')}; store sound, champion as before"


def _raced(place: Place) -> str:
    use_case, writers = place.copy("raced"), 32
    head = place.registry(use_case).head()
    barrier = Barrier(writers)

    def decide(number: int) -> str:
        registry = place.registry(use_case, actor=f"writer {number}")
        barrier.wait()
        try:
            registry.decide("frozen", version=None, expected_head=head, reason="race")
        except ConflictError:
            return "lost"
        return "won"

    with ThreadPoolExecutor(writers) as pool:
        count = Counter(pool.map(decide, range(writers)))
    require(count == {"won": 1, "lost": writers - 1}, str(dict(count)))
    place.check_sound(use_case)
    require(place.registry(use_case).head() == head + 1, "the log grew by more than one")
    return f"of {writers} writers 1 won, {writers - 1} were told; store sound"


def _clock_back(place: Place) -> str:
    use_case = place.copy("clock")
    registry = place.registry(use_case, clock=lambda: datetime(1999, 12, 31, tzinfo=UTC))
    champion = registry.champion()
    registry.freeze(reason="the clock jumped back")
    registry.unfreeze(reason="the clock jumped back")
    runs = RunLog(registry.store, registry.model, clock=lambda: datetime(1999, 12, 31, tzinfo=UTC))
    given = {"data_version": "", "settings_digest": "0" * 64, "seed": 1, "hyper_parameters": {}}
    names = {runs.start(**given).id for _ in range(2)}  # type: ignore[arg-type]
    place.check_sound(use_case)
    later = place.registry(use_case)
    require(len(names) == 2, "two runs have one name")
    require([d.number for d in later.log()] == list(range(1, later.head() + 1)), "the log is out of order")
    require(later.champion() == champion, "the champion changed")
    return f"the log goes by number: {later.head()} entries in order, champion as before"


def _collected_at_once(place: Place) -> str:
    from sluice.registry import collect_garbage

    use_case = place.copy("collected")
    registry = place.registry(use_case)
    champion = registry.champion()
    part = Path(use_case.storage.url) / "blobs" / "ab" / ("ab" + "0" * 62 + "#1")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"half of a file")
    place.check_sound(use_case)
    collect_garbage(registry.store, now=datetime.now(UTC) + timedelta(days=3))
    place.check_sound(use_case)
    require(place.registry(use_case).champion() == champion, "the champion changed")
    require(not part.exists(), "the half file is still there")
    return "nobody sees the half file, `sluice gc` removes it, store sound"


FAULTS = [
    Fault("the store's folder gone while a registry is open", "told; nothing is decided on an empty log", _gone),
    Fault("the store on a read-only disk", "the run stops and says so", _read_only),
    Fault("the store's disk full while a version is added", "told; no half version", _full),
    Fault("32 writers decide at once", "one wins, the others are told", _raced),
    Fault("the clock jumps back to 1999", "order and champion stay", _clock_back),
    Fault("half a file of a killed writer in the store", "not seen, and collected later", _collected_at_once),
]
