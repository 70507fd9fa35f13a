"""What the resolver compares nodes with: the match models in force, over sealed records."""

from __future__ import annotations

from collections.abc import Mapping

from identity.matching.comparing import Comparer
from identity.matching.model import MatchModel
from identity.matching.records import RecordComparer
from identity.matching.score import Scorer
from identity.model import NodeKey
from identity.tokens import Tokens
from ingest.payloads import comparable
from kinfold.models import RECORDS, Models
from profiles.sealing import Sealer, Unreadable
from profiles.vault import KeyDestroyed


def record_comparer(model: MatchModel, tokens: Tokens, sealer: Sealer) -> RecordComparer:
    """Compares records under a model that was learnt with the matching key of these tokens.

    A record whose key was destroyed holds nothing to compare any more.
    """

    def opened(key: NodeKey, payload: bytes) -> Mapping[str, str]:
        try:
            return comparable(sealer.open(payload, key.encode()))
        except (Unreadable, KeyDestroyed):
            return {}

    key = tokens.matching_key()
    return RecordComparer(Scorer(model, key), key, opened)


class ActiveModels:
    """The models in force in one home, as comparers; notices when others are put in force."""

    def __init__(self, models: Models, tokens: Tokens, sealer: Sealer) -> None:
        self._models = models
        self._tokens = tokens
        self._sealer = sealer
        self._pin: str | None = None

    def comparers(self) -> tuple[Comparer, ...]:
        """A comparer for each model that is in force now.

        Raises:
            ModelsError: it is not there, damaged, or belongs to other keys.
        """
        self._pin = self._models.active(RECORDS)
        if self._pin is None:
            return ()
        model = self._models.load(RECORDS, self._pin)
        return (record_comparer(model, self._tokens, self._sealer),)

    def changed(self) -> bool:
        """Whether other models are in force than when `comparers` was called."""
        return self._models.active(RECORDS) != self._pin
