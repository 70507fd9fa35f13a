"""Keeps what input of the erased said out of dead letters.

Input that cannot count is asked for no fence, so that, read again after an
erasure, it would be kept as a letter that opens. Its letter is kept, with its
reason, and without the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from identity.store import GraphStore
from ingest.dead_letters import DeadLetter, Envelopes
from ingest.erasing import LettersAbout
from ingest.source import Received


class Blanking:
    """Takes the input out of letters that name a fenced node. One per thread.

    `any_erased`: whether anybody ever was; looking whom a letter names takes
    milliseconds. `kinds`: those that texts of a letter are tried as.
    """

    def __init__(
        self,
        envelopes: Envelopes,
        about: LettersAbout,
        store: GraphStore,
        kinds: Sequence[str],
        any_erased: Callable[[], bool],
    ) -> None:
        self._envelopes = envelopes
        self._about = about
        self._store = store
        self._kinds = kinds
        self._any_erased = any_erased

    def __call__(
        self, letters: Sequence[DeadLetter], received: Sequence[Received]
    ) -> list[DeadLetter]:
        """The letters, without what was published while a fence keeps it out, or nobody knows when.

        Raises:
            StoreError: it cannot be told; call again.
        """
        if not self._any_erased():
            return list(letters)
        published = {self._envelopes.id_of(one.payload): one.published_us for one in received}
        return [
            replace(letter, sealed=b"")
            if self._is_out(letter, published.get(letter.id))
            else letter
            for letter in letters
        ]

    def _is_out(self, letter: DeadLetter, published_us: int | None) -> bool:
        if not letter.sealed:
            return False
        fences = self._store.fences(self._about.candidates(letter, self._kinds))
        return any(published_us is None or published_us <= until for until in fences.values())
