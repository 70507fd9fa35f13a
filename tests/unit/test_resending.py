"""Letters sent again count once, or stay with the reason of today; nothing is dropped."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from identity.engines.memory import MemoryGraphStore
from identity.model import Contribution, EvidenceKind
from identity.store import GraphStore, Outcome
from ingest.dead_letters import DeadLetter, Envelopes, LettersUnavailable
from ingest.dead_letters_file import FileLetters
from ingest.forms import SegmentMessages, Signals, Understanding
from ingest.letter_writing import LetterWriter
from ingest.rejected import Rejected
from ingest.resending import _AT_ONCE, Resender
from ingest.source import Form, Received
from profiles.sealing import Sealer
from profiles.vault_memory import MemoryVault
from tests.support.intaking import EVENT_US, NOW_US, ORDER_KEY, intake, line, protobuf, sealer
from tests.support.store_driver import Consumer

EARLY_US = EVENT_US - 30 * 86_400 * 1_000_000
"""A time at which the signals of these tests are too far ahead."""


@dataclass
class Desk:
    """A graph, a file of letters, and whoever sends letters again."""

    store: GraphStore
    letters: FileLetters
    now_us: int = NOW_US

    def __post_init__(self) -> None:
        """Make what reads and what seals."""
        self.envelopes = Envelopes(sealer(), ORDER_KEY)
        self.reads: dict[str, Understanding] = {
            "json": Signals(intake()),
            "protobuf": Signals(intake()),
            "segment": SegmentMessages(intake(), "segment"),
        }
        self._consumer = Consumer(self.store)

    @property
    def resender(self) -> Resender:
        """Another process that sends letters again."""
        return Resender(
            self.store, self.letters, self.envelopes, self.reads.get, lambda: self.now_us
        )

    def refuse(self, payload: bytes, form: str = "json", at_us: int = EARLY_US) -> DeadLetter:
        """Input that cannot count when it arrives becomes a letter."""
        understand = self.reads[form]
        transport = Form.PROTOBUF if form == "protobuf" else Form.JSON
        received = Received(payload, transport, b"1:0:0")
        rejected = [o for o in understand(received, at_us) if isinstance(o, Rejected)]
        assert rejected, "this input counts"
        writer = LetterWriter(self.envelopes, understand, "file:/signals.jsonl")
        writer.rejected(received, rejected[0], at_us)
        (letter,) = writer.take()
        self.letters.keep([letter])
        return letter

    def count(self, payload: bytes) -> Contribution:
        """Input that counts when it arrives."""
        found = intake().from_json(payload, NOW_US)
        assert isinstance(found, Contribution), found
        assert self._consumer.take(found) == [Outcome.COUNTED]
        return found

    @property
    def left(self) -> list[DeadLetter]:
        """The letters that are there."""
        return list(self.letters.all())

    @property
    def signals(self) -> int:
        """How many signals count."""
        return self.store.totals().signals


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty desk."""
    letters = FileLetters(tmp_path / "letters.sqlite3")
    yield Desk(MemoryGraphStore(), letters)
    letters.close()


def test_what_counts_now_is_counted_and_gone(desk: Desk) -> None:
    """What stood in the way is past: the signals count, the letters are letters no more."""
    desk.refuse(line())
    desk.refuse(protobuf(signal_id="s-2"), "protobuf")
    resent = desk.resender.send(desk.left)
    assert (resent.counted, resent.empty, resent.refused) == (2, 0, [])
    assert desk.signals == 2
    assert desk.left == []


def test_what_cannot_count_stays_with_todays_reason(desk: Desk) -> None:
    """One fault is past but there is another: the letter stays, and the other fault is told."""
    both = line(identifiers=[{"kind": "email", "value": "not an address"}])
    letter = desk.refuse(both)
    ahead = replace(letter, reason="ahead", field="event_time")
    resent = desk.resender.send([ahead])
    assert resent.refused == [(ahead, "identifiers[0].value: email")]
    assert resent.counted == desk.signals == 0
    assert desk.left == [letter]


def test_a_letter_whose_key_is_destroyed_stops_no_other(desk: Desk) -> None:
    """It is told as such, with the way out, and what stands beside it is sent."""
    vault = MemoryVault(random.Random(3).randbytes)
    desk.envelopes = Envelopes(Sealer(vault, random.Random(4).randbytes), ORDER_KEY)
    lost = desk.refuse(line())
    vault.new_epoch()
    vault.destroy_epoch(1)
    desk.envelopes = Envelopes(Sealer(vault, random.Random(5).randbytes), ORDER_KEY)
    desk.refuse(protobuf(signal_id="s-2"), "protobuf")
    resent = desk.resender.send(desk.left)
    words = f"its key is destroyed: kinfold dead-letters --remove {lost.id}"
    assert (resent.counted, resent.refused) == (1, [(lost, words)])
    assert desk.left == [lost]


def test_sent_twice_counts_once(desk: Desk) -> None:
    """Two that send the same letters, and a letter of what counts already: one signal."""
    desk.refuse(line())
    read = desk.left
    first = desk.resender.send(read)
    second = desk.resender.send(read)
    assert (first.counted, second.counted) == (1, 1)
    desk.letters.keep(read)
    assert desk.resender.send(desk.left).counted == 1
    assert desk.signals == 1
    assert desk.left == []


class Unremovable(FileLetters):
    """Letters that go out of reach just before they are removed."""

    def remove(self, letters: Iterable[DeadLetter]) -> None:
        """Fail."""
        del letters
        raise LettersUnavailable("out of reach")


def test_stopped_between_counting_and_removing(desk: Desk, tmp_path: Path) -> None:
    """Stopped after the commit, the letter is still there, and sending it again counts it once."""
    desk.refuse(line())
    broken = Unremovable(tmp_path / "letters.sqlite3")
    resender = Resender(desk.store, broken, desk.envelopes, desk.reads.get, lambda: NOW_US)
    with pytest.raises(LettersUnavailable):
        resender.send(desk.left)
    broken.close()
    assert len(desk.left) == desk.signals == 1
    assert desk.resender.send(desk.left).counted == 1
    assert desk.left == []
    assert desk.signals == 1


def _by_digest(*categories: str) -> list[bytes]:
    """Contents under one signal id, the one that wins first."""
    made = [
        line(behaviour={"type": "BEHAVIOUR_TYPE_CLICK", "category": category})
        for category in categories
    ]

    def digest(payload: bytes) -> bytes:
        found = intake().from_json(payload, NOW_US)
        assert isinstance(found, Contribution)
        return found.digest

    return sorted(made, key=digest)


def test_an_outdone_content_stays(desk: Desk) -> None:
    """While another content under the same id counts, the letter stays and says so."""
    winner, loser = _by_digest("sport", "garden")
    desk.count(winner)
    letter = desk.refuse(loser)
    resent = desk.resender.send(desk.left)
    assert resent.refused == [(letter, "outdone")]
    assert desk.left == [letter]


def test_what_is_replaced_becomes_a_letter(desk: Desk) -> None:
    """Where the letter's content takes the place of another one, that one is a letter from now."""
    winner, loser = _by_digest("sport", "garden")
    desk.count(loser)
    letter = desk.refuse(winner)
    assert desk.resender.send(desk.left).counted == 1
    (left,) = desk.left
    assert (left.reason, left.source) == ("replaced", "web")
    assert left.id != letter.id
    assert desk.signals == 1
    resent = desk.resender.send(desk.left)
    assert (resent.counted, resent.empty) == (0, 1)
    assert desk.left == [left]


def test_what_has_expired_stays(desk: Desk) -> None:
    """Older than evidence of its kind is kept: it stays, and says so."""
    letter = desk.refuse(line())
    desk.store.move_horizon(EvidenceKind.ACTIVITY, EVENT_US // 86_400_000_000 + 1)
    assert desk.resender.send(desk.left).refused == [(letter, "expired")]
    assert desk.left == [letter]


def test_a_form_that_nothing_reads(desk: Desk) -> None:
    """A letter of a mapping that is not here any more stays; the others are sent."""
    gone = replace(desk.refuse(line()), form="mapping:gone.toml")
    desk.letters.keep([gone])
    desk.refuse(line(signal_id="s-2"))
    resent = desk.resender.send(desk.left)
    assert resent.refused == [(gone, "nothing here reads mapping:gone.toml")]
    assert resent.counted == desk.signals == 1


def test_a_letter_that_does_not_open(desk: Desk) -> None:
    """A letter sealed with keys that are not here stays; the others are sent."""
    desk.refuse(line(signal_id="s-2"))
    strange = desk.refuse(line())
    other = Envelopes(sealer(7), ORDER_KEY)
    strange = replace(strange, sealed=other.close(strange.id, b"{}"))
    desk.letters.keep([strange])
    resent = desk.resender.send(desk.left)
    assert resent.refused == [(strange, "does not open with the keys that are here")]
    assert resent.counted == desk.signals == 1
    assert desk.left == [strange]


def _segment(*messages: dict[str, object]) -> bytes:
    common = {"type": "track", "event": "Clicked", "timestamp": "2026-03-01T12:00:00Z"}
    return orjson.dumps({"batch": [{**common, **message} for message in messages]})


def test_a_batch_in_one_letter_goes_whole(desk: Desk) -> None:
    """All of a letter counts or the letter stays: never half of it without a trace."""
    both = _segment(
        {"messageId": "m-1", "anonymousId": "a-1"}, {"messageId": "m-2", "anonymousId": "a-2"}
    )
    half = _segment({"messageId": "m-3", "anonymousId": "a-3"}, {"messageId": "m-4"})
    desk.refuse(both, "segment")
    stays = desk.refuse(half, "segment")
    resent = desk.resender.send(desk.left)
    assert [letter for letter, _ in resent.refused] == [stays]
    assert resent.counted == 1
    assert desk.signals == 2
    assert desk.left == [stays]


def test_more_letters_than_go_at_once(desk: Desk) -> None:
    """However many there are, every one is sent."""
    number = _AT_ONCE + 3
    for n in range(number):
        desk.refuse(line(signal_id=f"s-{n}"))
    assert desk.resender.send(desk.left).counted == desk.signals == number
    assert desk.left == []


def test_no_letters(desk: Desk) -> None:
    """Nothing to send is no fault, and nothing is claimed for it."""
    resent = desk.resender.send([])
    assert (resent.counted, resent.empty, resent.refused) == (0, 0, [])
