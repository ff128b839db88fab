"""What a receiver hands on: each new event under its own name, and never at the price of its own answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from payload_world import QUICK, REQUEST, RESPONSE, ReceiverProcess, Sender, answer, named, question
from servers import free_port

from sluice.settings.operation import Storage

WITHIN = 60.0


@pytest.fixture
def second(tmp_path: Path) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path / "second", Storage(url=str(tmp_path / "store-2"))) as running:
        yield running


def test_events_are_handed_on_as_they_came_and_once(second: ReceiverProcess, tmp_path: Path) -> None:
    """To another receiver, whose ledger then says the same."""
    first = ReceiverProcess(
        tmp_path / "first",
        Storage(url=str(tmp_path / "store-1")),
        keys={"SLUICE_PAYLOADS_FORWARD_TOKEN": second.token},
        options=("--forward", second.address),
    )
    strange = {"Ce-Source": "http://pod/?a=%C3%BC%25%20%22b%22", "Ce-Inferenceservicename": "fraud-%E2%82%AC"}
    with first as receiver:
        sender = Sender(receiver)
        for _ in range(2):
            assert sender.send(named(REQUEST, "n-1", **strange), question("a"))[0] == 200
            assert sender.send(named(RESPONSE, "n-1", **strange), answer("a"))[0] == 200
        assert sender.send(named(RESPONSE, "n-2"), b"{}")[0] == 400
        _until(receiver, "sluice_payload_forwarded_total", 2)
        receiver.settle()
        second.settle()
        kept, handed = receiver.ledger().frame.drop("caller"), second.ledger().frame.drop("caller")
    assert kept.height == 1 and kept.equals(handed)
    assert kept["source"].to_list() == ['http://pod/?a=ü% "b"'] and kept["service"].to_list() == ["fraud-€"]
    assert "sluice_payload_duplicates_total{fraud}" not in second.metrics(), "a repeat is not handed on"


def test_a_place_that_is_away_costs_the_events_there_and_no_answer_here(tmp_path: Path) -> None:
    receiver = ReceiverProcess(
        tmp_path / "receiver",
        Storage(url=str(tmp_path / "store")),
        settings={**QUICK, "queue": 2, "senders": 1},
        options=("--forward", f"http://127.0.0.1:{free_port()}"),
    )
    with receiver:
        sender = Sender(receiver)
        for number in range(10):
            assert sender.send(named(RESPONSE, str(number)), answer(str(number)))[0] == 200
        _until(receiver, "sluice_payload_forward_dropped_total{full}", 7)
        receiver.settle()
        assert receiver.ledger().frame.height == 10


def test_an_address_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    receiver = ReceiverProcess(
        tmp_path / "receiver", Storage(url=str(tmp_path / "store")), options=("--forward", "drift-server:80")
    )
    with pytest.raises(AssertionError):
        receiver.start()
    receiver.kill()
    assert "expected http://host:port, got 'drift-server:80'" in (tmp_path / "receiver/log").read_text()


def _until(receiver: ReceiverProcess, metric: str, least: float) -> None:
    deadline = monotonic() + WITHIN
    while receiver.metrics().get(metric, 0.0) < least:
        assert monotonic() < deadline, receiver.metrics()
        sleep(0.05)
