"""A receiver that is killed under load, and a store that goes away: what was acknowledged is in the ledger, once."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import pytest
from payload_world import REQUEST, RESPONSE, ReceiverProcess, Sender, answer, named, question
from servers import Bucket

from sluice.ledger import compact
from sluice.settings.operation import Storage
from sluice.settings.payloads import Payloads

SETTINGS = {"flush_every": "100ms", "segment": "20KB"}
"""Many segments, so that kills come while one is written, sealed, shipped and forgotten."""
SENDERS = 6


class Load:
    """Threads that send numbered requests and answers until the receiver does not answer; what it took is noted."""

    def __init__(self) -> None:
        self.acknowledged: set[tuple[str, str]] = set()
        self.sent = 0
        self._lock = threading.Lock()
        self._round = 0

    def run(self, receiver: ReceiverProcess, during: Callable[[], None]) -> None:
        """Send while `during` lasts; it ends by killing the receiver."""
        self._round += 1
        threads = [threading.Thread(target=self._send, args=(Sender(receiver), lane)) for lane in range(SENDERS)]
        for thread in threads:
            thread.start()
        during()
        for thread in threads:
            thread.join(180)
            assert not thread.is_alive()

    def _send(self, sender: Sender, lane: int) -> None:
        try:
            for count in range(1_000_000):
                number = f"{self._round}-{lane}-{count}"
                for kind, body in ((REQUEST, question(number)), (RESPONSE, answer(number))):
                    headers = named(kind, number)
                    with self._lock:
                        self.sent += 1
                    if sender.send(headers, body)[0] == 200:
                        with self._lock:
                            self.acknowledged.add((kind, number))
                    # An impatient sender: the same again, at once.
                    if count % 7 == 0:
                        sender.send(headers, body)
        except (OSError, http.client.HTTPException):
            return


def killed_again_and_again(receiver: ReceiverProcess, rounds: int, seed: int) -> Load:
    """Load under kills at seeded moments; at last the receiver ends in peace."""
    draw, load = random.Random(seed), Load()
    for _ in range(rounds):
        receiver.start()

        def during() -> None:
            sleep(draw.uniform(0.02, 0.6))
            receiver.kill()

        load.run(receiver, during)
    receiver.start()
    receiver.settle()
    assert receiver.stop() == 0
    return load


def check(receiver: ReceiverProcess, load: Load) -> None:
    """Everything that was acknowledged, each event once, nothing that was not sent."""
    found = receiver.ledger()
    said = found.frame.select("id", "row")
    assert said.height == said.n_unique(), "an event is there twice"
    answered = set(found.frame.get_column("id"))
    assert set(found.frame.get_column("event_id")) == answered, "each row is of its own event"
    asked = set(found.unanswered.get_column("id")) | set(found.frame.drop_nulls("asked").get_column("id"))
    there = {(RESPONSE, name) for name in answered} | {(REQUEST, name) for name in asked}
    assert load.acknowledged - there == set(), "acknowledged and lost"
    assert len(there) <= load.sent and load.acknowledged


@pytest.mark.parametrize("seed", [11])
def test_a_killed_receiver_loses_nothing_in_a_folder(tmp_path: Path, seed: int) -> None:
    receiver = ReceiverProcess(tmp_path, Storage(url=str(tmp_path / "store")), settings=SETTINGS)
    load = killed_again_and_again(receiver, 3, seed)
    check(receiver, load)
    before = receiver.ledger().frame
    done = compact(receiver.store, "fraud", Payloads(compact_from=2), now=datetime.now(UTC))
    assert done.after < done.before
    assert receiver.ledger().frame.equals(before)


@pytest.mark.minio
def test_a_killed_receiver_loses_nothing_in_minio(tmp_path: Path, minio: Bucket) -> None:
    receiver = ReceiverProcess(tmp_path, minio.storage, minio.environment, SETTINGS)
    check(receiver, killed_again_and_again(receiver, 3, 37))


@pytest.mark.minio
def test_a_store_that_is_gone_costs_nothing_that_was_acknowledged(tmp_path: Path, own_minio: Bucket) -> None:
    settings = {**SETTINGS, "max_spool": "60KB"}
    receiver = ReceiverProcess(tmp_path, own_minio.storage, own_minio.environment, settings)
    assert own_minio.s3.server is not None
    with receiver:
        own_minio.s3.server.kill()
        sender, taken, refused = Sender(receiver), [], 0
        for count in range(400):
            status, _, headers = sender.ask("POST", "/models/fraud", named(RESPONSE, str(count)), answer(str(count)))
            if status == 200:
                taken.append(str(count))
            else:
                assert status == 503 and int(headers["retry-after"]) > 0
                refused += 1
        assert taken and refused, "the spool takes what fits, and says so when it is full"
        receiver.kill()
    with receiver:
        own_minio.s3.server.start()
        receiver.settle()
        assert sorted(receiver.ledger().frame.get_column("event_id")) == sorted(taken)
        assert Sender(receiver).send(named(RESPONSE, "after"), answer("after"))[0] == 200, "and takes events again"


def test_too_many_at_once_are_told_to_come_again(tmp_path: Path) -> None:
    settings = {**SETTINGS, "max_waiting": 1}
    with ReceiverProcess(tmp_path, Storage(url=str(tmp_path / "store")), settings=settings) as receiver:
        seen: dict[int, int] = {}

        def send(lane: int) -> None:
            sender = Sender(receiver)
            for count in range(200):
                status, _, headers = sender.ask("POST", "/models/fraud", named(REQUEST, f"{lane}-{count}"), b"{}")
                assert status == 200 or (status == 429 and headers["retry-after"] == "1")
                seen[status] = seen.get(status, 0) + 1

        threads = [threading.Thread(target=send, args=(lane,)) for lane in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = int(receiver.metrics()["sluice_payload_accepted_total{requests,fraud}"])
        assert receiver.stop() == 0
    assert seen.get(429, 0) and seen[200] == taken == receiver.ledger().unanswered.height


def test_a_torn_end_of_a_segment_is_left_out(tmp_path: Path) -> None:
    from sluice.payloads.events import read_event
    from sluice_serving.payloads.spool import Spool, record, records

    headers = [(name.lower().encode(), value.encode()) for name, value in named(RESPONSE, "a").items()]
    event = read_event(headers, answer("a"))
    content = record("fraud", "tester", event)
    spool = Spool(tmp_path / "spool", remember=10)
    spool.append([content, content])
    spool.seal()
    (segment,) = spool.sealed
    whole = segment.read_bytes()
    for length in range(len(whole)):
        segment.write_bytes(whole[:length])
        assert len(list(records(segment))) == length // len(content)
    segment.write_bytes(whole)
    assert [found for _, _, found in records(segment)] == [event, event]
    spool.close()


def test_a_full_disk_is_an_answer_and_the_events_before_it_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluice_serving.payloads import spool as spooling

    spool = spooling.Spool(tmp_path / "spool", remember=10)
    headers = [(name.lower().encode(), value.encode()) for name, value in named(RESPONSE, "a").items()]
    content = spooling.record("fraud", "tester", spooling.Event("s", "i", "t", datetime.now(UTC), b"body"))
    assert headers
    spool.append([content])
    write = spooling.os.write

    def half(descriptor: int, data: memoryview) -> int:
        monkeypatch.setattr(spooling.os, "write", full)
        return write(descriptor, data[: len(data) // 2])

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spooling.os, "write", half)
    with pytest.raises(OSError, match="No space"):
        spool.append([content])
    monkeypatch.setattr(spooling.os, "write", write)
    spool.append([content])
    spool.seal()
    assert [len(list(spooling.records(path))) for path in spool.sealed] == [1, 1]
    spool.close()


def test_keys_of_stored_events_are_kept_for_the_horizon_and_no_longer(tmp_path: Path) -> None:
    from sluice.payloads.seen import Seen, Unanswered
    from sluice_serving.payloads.spool import Spool

    spool = Spool(tmp_path / "spool", remember=3)
    keys = [bytes([number]) * 16 for number in range(8)]
    for first in range(0, 8, 2):
        spool.append([b"x"])
        spool.seal()
        spool.done(spool.sealed[0], keys[first : first + 2])
    assert list(spool.stored_keys()) == keys[4:]
    spool.close()
    again = Spool(tmp_path / "spool", remember=3)
    assert list(again.stored_keys()) == keys[4:]
    again.close()
    seen = Seen(3, keys)
    assert all(key in seen for key in keys[-3:]) and keys[0] not in seen
    waiting = Unanswered(within=10, most=5)
    waiting.note(b"a", 0.0, is_response=False)
    waiting.note(b"b", 1.0, is_response=True)
    waiting.note(b"b", 2.0, is_response=False)
    assert [waiting.overdue(9.0), waiting.overdue(11.0), waiting.overdue(99.0)] == [0, 1, 0]


def test_a_segment_that_cannot_be_read_back_is_kept_and_holds_nothing_up(tmp_path: Path) -> None:
    from prometheus_client import CollectorRegistry

    from sluice.payloads.events import Event
    from sluice.storage import open_store
    from sluice_serving.payloads.metrics import ReceiverMetrics
    from sluice_serving.payloads.shipping import Shipper
    from sluice_serving.payloads.spool import Spool, record

    spool = Spool(tmp_path / "spool", remember=10)
    kind = "org.kubeflow.serving.inference.response"
    for number, body in enumerate((b"no answer any more", answer("a"))):
        spool.append([record("fraud", "tester", Event("s", str(number), kind, datetime.now(UTC), body))])
        spool.seal()
    metrics, said = ReceiverMetrics(CollectorRegistry()), []
    store = open_store(Storage(url=str(tmp_path / "store")))
    shipper = Shipper(store, spool, metrics, said.append)
    shipper.start()
    shipper.finish(60)
    assert len(list((tmp_path / "spool").glob("*.aside"))) == 1 and spool.sealed == []
    assert metrics.registry.get_sample_value("sluice_payload_aside_total") == 1
    assert "cannot be read back, and is kept" in said[0]
    assert len(list(store.keys("payloads"))) == 1
    spool.close()
