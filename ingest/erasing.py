"""Finds the dead letters that are about somebody who is erased."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from identity.evidence import names_of
from identity.model import Contribution, NodeKey, kind_of
from ingest.dead_letters import DeadLetter, Envelopes
from ingest.forms import Understanding
from ingest.source import Form, Received
from ingest.v1.signal_pb2 import Signal
from profiles.sealing import Unreadable
from profiles.vault import KeyDestroyed

_FIELD = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\"'<>{}\[\],;|=]+")
_WORD, _PART = re.compile(r"[^\w.@+:%-]+"), re.compile(r"[^\w.@+%-]+")
NameOf = Callable[[str, str], NodeKey | None]
"""From a kind and a raw value to its node; None when it cannot be one."""


class LettersAbout:
    """Tells which letters name one of some nodes.

    A letter that is understood says itself whom it names; of one that is not,
    every text in it is tried as an identifier of each kind that is looked for.
    What does not even parse is tried word by word, and may still name them in a
    way that nothing here sees; `untold` counts those in which nobody was found.
    """

    def __init__(
        self,
        envelopes: Envelopes,
        understanding: Callable[[str], Understanding | None],
        name_of: NameOf,
        now_us: int,
    ) -> None:
        self._envelopes = envelopes
        self._understanding = understanding
        self._name_of = name_of
        self._now_us = now_us
        self.untold = 0

    def among(
        self, letters: Iterable[DeadLetter], nodes: AbstractSet[NodeKey]
    ) -> Iterator[DeadLetter]:
        """Those of the letters that name one of the nodes."""
        kinds = _kinds(nodes)
        for letter in letters:
            if any(True for _ in self._named(letter, nodes, kinds)):
                yield letter

    def received_by(
        self, letters: Iterable[DeadLetter], until_us: Mapping[NodeKey, int]
    ) -> Iterator[DeadLetter]:
        """Those of the letters that name a node and were received by the time given for it."""
        nodes, kinds = frozenset(until_us), _kinds(until_us)
        for letter in letters:
            named = self._named(letter, nodes, kinds)
            if any(letter.received_us <= until_us[node] for node in named):
                yield letter

    def candidates(self, letter: DeadLetter, kinds: Sequence[str]) -> set[NodeKey]:
        """Every node that a letter may name, its texts taken for identifiers of each kind."""
        payload = self._opened(letter)
        found = {key for one in self._understood(letter, payload) for key in names_of(one)}
        texts = self._said(letter, payload)[1]
        # A kind may have names of the sources' own behind it, as `external:chirper` has.
        own = {text for text in texts if text.partition(":")[0] in kinds}
        for text in texts:
            found.update(key for kind in {*kinds, *own} if (key := self._name_of(kind, text)))
        return found

    def _named(
        self, letter: DeadLetter, nodes: AbstractSet[NodeKey], kinds: Sequence[str]
    ) -> Iterator[NodeKey]:
        """Those of the nodes that a letter names, one by one: mostly the first is enough."""
        payload = self._opened(letter)
        if not payload:
            return
        for each in self._understood(letter, payload):
            yield from names_of(each) & nodes
        parses, texts = self._said(letter, payload)
        named = False
        for text in texts:
            for kind in kinds:
                node = self._name_of(kind, text)
                if node is not None and node in nodes:
                    named = True
                    yield node
        self.untold += not parses and not named

    def _opened(self, letter: DeadLetter) -> bytes:
        try:
            return self._envelopes.open(letter) if letter.sealed else b""
        except (Unreadable, KeyDestroyed):
            return b""

    def _understood(self, letter: DeadLetter, payload: bytes) -> list[Contribution]:
        understand = self._understanding(letter.form) if payload else None
        if understand is None:
            return []
        form = Form.PROTOBUF if letter.form == "protobuf" else Form.JSON
        received = Received(payload, form, letter.position, letter.received_us)
        return [one for one in understand(received, self._now_us) if isinstance(one, Contribution)]

    def _said(self, letter: DeadLetter, payload: bytes) -> tuple[bool, set[str]]:
        """Whether a letter parses, and what in it may be identifiers."""
        if not payload:
            return True, set()
        said = _parsed(payload, is_protobuf=letter.form == "protobuf")
        return said is not None, set(_words(payload) if said is None else _texts(said))


def _kinds(nodes: Iterable[NodeKey]) -> list[str]:
    return sorted({kind_of(node) for node in nodes})


def _parsed(payload: bytes, *, is_protobuf: bool) -> Any:
    try:
        if is_protobuf:
            return MessageToDict(Signal.FromString(payload))
        return orjson.loads(payload)
    except (DecodeError, orjson.JSONDecodeError):
        return None


def _words(payload: bytes) -> Iterator[str]:
    """What may be an identifier in bytes that do not parse: whatever stands between signs that no
    identifier has, and between those that most have not; in protobuf a text of 32 bytes or more
    follows its length, which looks like a sign of the text.
    """
    text = payload.decode("utf-8", "replace")
    for signs in (_FIELD, _WORD, _PART):
        for word in signs.split(text):
            found = word.strip()
            if found:
                yield found
                yield found[1:]


def _texts(said: Any) -> Iterator[str]:
    """Every text and number in what was parsed, however deep."""
    waiting = [said]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str | int) and not isinstance(one, bool):
            yield str(one)
