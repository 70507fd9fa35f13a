"""Finds the dead letters that are about somebody who is erased."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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

NameOf = Callable[[str, str], NodeKey | None]
"""From a kind and a raw value to its node; None when it cannot be one."""


class LettersAbout:
    """Tells which letters name one of some nodes.

    A letter that is understood says itself whom it names; of one that is not,
    every text in it is tried as an identifier of each kind that is looked for.
    What does not even parse cannot be told; `untold` counts those.
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
        kinds = sorted({kind_of(node) for node in nodes})
        for letter in letters:
            if letter.sealed and self._names(letter, nodes, kinds):
                yield letter

    def _names(self, letter: DeadLetter, nodes: AbstractSet[NodeKey], kinds: Iterable[str]) -> bool:
        try:
            payload = self._envelopes.open(letter)
        except (Unreadable, KeyDestroyed):
            return False
        is_protobuf = letter.form == "protobuf"
        understand = self._understanding(letter.form)
        if understand is not None:
            form = Form.PROTOBUF if is_protobuf else Form.JSON
            received = Received(payload, form, letter.position, letter.received_us)
            for each in understand(received, self._now_us):
                if isinstance(each, Contribution) and names_of(each) & nodes:
                    return True
        said = _parsed(payload, is_protobuf=is_protobuf)
        if said is None:
            self.untold += 1
            return False
        texts = set(_texts(said))
        return any(self._name_of(kind, text) in nodes for text in texts for kind in kinds)


def _parsed(payload: bytes, *, is_protobuf: bool) -> Any:
    try:
        if is_protobuf:
            return MessageToDict(Signal.FromString(payload))
        return orjson.loads(payload)
    except (DecodeError, orjson.JSONDecodeError):
        return None


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
