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

    def _named(
        self, letter: DeadLetter, nodes: AbstractSet[NodeKey], kinds: Sequence[str]
    ) -> Iterator[NodeKey]:
        """Those of the nodes that a letter names, one by one: mostly the first is enough."""
        try:
            payload = self._envelopes.open(letter) if letter.sealed else b""
        except (Unreadable, KeyDestroyed):
            payload = b""
        if not payload:
            return
        is_protobuf = letter.form == "protobuf"
        understand = self._understanding(letter.form)
        if understand is not None:
            form = Form.PROTOBUF if is_protobuf else Form.JSON
            received = Received(payload, form, letter.position, letter.received_us)
            for each in understand(received, self._now_us):
                if isinstance(each, Contribution):
                    yield from names_of(each) & nodes
        said = _parsed(payload, is_protobuf=is_protobuf)
        texts = set(_words(payload) if said is None else _texts(said))
        named = False
        for text in texts:
            for kind in kinds:
                node = self._name_of(kind, text)
                if node is not None and node in nodes:
                    named = True
                    yield node
        self.untold += said is None and not named


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
