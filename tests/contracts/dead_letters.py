"""The contract of DeadLetters: one test per promise of `ingest.dead_letters`, for every engine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace

from ingest.dead_letters import DeadLetter, DeadLetters, Envelopes
from tests.support.intaking import ORDER_KEY, sealer

OpenLetters = Callable[[], DeadLetters]
"""Opens the one store of letters of this test, as another process would; picklable."""
SECRET = b'{"source":"web","identifiers":[{"kind":"email","value":"ann.miller@example.org"}]}'
Context = multiprocessing.get_context("spawn")


def letter(number: int, received_us: int = 0) -> DeadLetter:
    """A letter whose input holds the number."""
    envelopes = Envelopes(sealer(number + 1), ORDER_KEY)
    payload = SECRET + b"%d" % number
    name = envelopes.id_of(payload)
    return DeadLetter(
        id=name,
        reason="json",
        field="signal",
        hint="send one JSON object per line",
        source="web",
        form="json",
        partition="file:/signals.jsonl",
        position=b"12:0:0",
        received_us=received_us or 1_000 + number,
        sealed=envelopes.close(name, payload),
    )


def _keep_and_die(open_letters: OpenLetters, letters: Sequence[DeadLetter]) -> None:
    open_letters().keep(letters)
    os.kill(os.getpid(), signal.SIGKILL)


class DeadLettersContract:
    """Every engine's test class inherits these and gives the fixture `open_letters`."""

    def test_durable(self, open_letters: OpenLetters) -> None:
        """Letters that were kept are there after kill -9 of the process that kept them."""
        letters = [letter(number) for number in range(20)]
        keeper = Context.Process(target=_keep_and_die, args=(open_letters, letters))
        keeper.start()
        keeper.join()
        assert keeper.exitcode == -signal.SIGKILL
        opened = open_letters()
        assert list(opened.all()) == letters
        opened.close()

    def test_listed_once(self, open_letters: OpenLetters) -> None:
        """An input kept twice is one letter, the one kept last; the order is by receipt."""
        one, two = open_letters(), open_letters()
        one.keep([letter(1), letter(2), letter(3)])
        again = letter(1, received_us=9_999)
        two.keep([again])
        assert list(one.all()) == list(two.all()) == [letter_as(2, one), letter_as(3, one), again]
        one.close()
        two.close()

    def test_sealed(self, open_letters: OpenLetters) -> None:
        """What is listed does not show the input; who has the keys opens exactly it."""
        opened = open_letters()
        opened.keep([letter(7)])
        (listed,) = opened.all()
        shown = repr(listed).encode()
        assert b"ann.miller" not in shown
        assert b"ann.miller" not in listed.sealed
        assert Envelopes(sealer(8), ORDER_KEY).open(listed) == SECRET + b"7"
        opened.close()

    def test_removed_is_gone(self, open_letters: OpenLetters) -> None:
        """A removed letter is neither listed nor found, until it is kept again; others stay."""
        opened = open_letters()
        letters = [letter(number) for number in range(4)]
        opened.keep(letters)
        opened.remove(letters[:2])
        opened.remove(letters[:1])
        assert list(opened.all()) == letters[2:]
        assert opened.find(letters[0].id) is None
        assert opened.find(letters[3].id) == letters[3]
        opened.keep(letters[:1])
        assert list(opened.all()) == [letters[0], *letters[2:]]
        opened.close()

    def test_removed_is_not_what_was_kept_anew(self, open_letters: OpenLetters) -> None:
        """A letter kept again after it was read is not removed by whoever read the old one."""
        opened = open_letters()
        opened.keep([letter(1)])
        (read,) = opened.all()
        opened.keep([replace(read, received_us=read.received_us + 1)])
        opened.remove([read])
        assert [each.received_us for each in opened.all()] == [read.received_us + 1]
        opened.close()

    def test_rewrapped_in_place(self, open_letters: OpenLetters) -> None:
        """Every sealed input goes through, also by the second try; nothing else changes."""
        opened = open_letters()
        letters = [letter(1), letter(2), replace(letter(3), sealed=b"")]
        opened.keep(letters)
        before = [each.sealed for each in opened.all()]

        def wrap(sealed: bytes) -> bytes:
            return sealed if sealed.startswith(b"new ") else b"new " + sealed

        assert opened.rewrap(wrap) == 2
        assert opened.rewrap(wrap) == 0
        found = list(opened.all())
        assert [each.sealed for each in found] == [one and b"new " + one for one in before]
        assert [replace(each, sealed=b"") for each in found] == [
            replace(each, sealed=b"") for each in letters
        ]
        opened.close()

    def test_goes_back_as_a_whole(self, open_letters: OpenLetters) -> None:
        """Which deletions were applied is kept with the letters, whoever opens them."""
        one, two = open_letters(), open_letters()
        assert one.applied() == ""
        one.set_applied("the first")
        two.keep([letter(1)])
        assert two.applied() == "the first"
        two.set_applied("the first two")
        assert one.applied() == "the first two"
        assert list(one.all()) == [letter_as(1, one)]
        one.close()
        two.close()

    def test_nothing_is_nothing(self, open_letters: OpenLetters) -> None:
        """Without letters there is nothing to list, find, keep or remove, and no fault in it."""
        opened = open_letters()
        opened.keep([])
        opened.remove([])
        assert list(opened.all()) == []
        assert opened.find("a" * 26) is None
        opened.close()


def letter_as(number: int, opened: DeadLetters) -> DeadLetter:
    """The letter of the number as it is found, its seal being new each time one is made."""
    found = opened.find(letter(number).id)
    assert found is not None
    assert replace(found, sealed=b"") == replace(letter(number), sealed=b"")
    return found
