"""From what a transport hands over to what counts: one call per input; bad input never raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from identity.horizons import NO_DAY
from identity.model import DAY_US, Contribution, EvidenceKind
from identity.policy import IdentityPolicy
from identity.retention import Retention
from identity.store import NO_KEYS, KeyAge
from ingest import decode_json, decode_protobuf, segment, validate
from ingest.keys import Keys
from ingest.mapping import RowMapping
from ingest.pseudonymise import Pseudonymiser, Sealer
from ingest.raw import RawSignal
from ingest.rejected import Rejected
from profiles.purposes import PurposePolicy

Outcome = Contribution | Rejected


class Intake:
    """Decodes, checks, normalises and pseudonymises signals of every form.

    Every call answers with a `Contribution` or with a `Rejected` that names
    field and rule; no input raises. `received_us` is when the input arrived and
    bounds how far ahead its times may be; `published_us` is the transport's own
    time, for signals that carry none. Both are microseconds since 1970 UTC.

    A usual mistake is a fresh `Intake` per batch: its caches are what makes it
    fast. Another is to share one between threads: make one each.
    """

    def __init__(
        self,
        policy: IdentityPolicy,
        token_keys: Sequence[bytes],
        order_key: bytes,
        sealer: Sealer,
        *,
        region: str | None = None,
        max_ahead_s: int = validate.MAX_AHEAD_S,
        segment_options: segment.SegmentOptions | None = None,
        purposes: PurposePolicy | None = None,
        keys: Keys | None = None,
        retention: Retention | None = None,
    ) -> None:
        """`token_keys` is the chain, oldest first; `region` as in `identity.normalize`;
        `purposes` as in `ingest.consents`, without them no consent string decides anything;
        `keys` are those of `token_keys` and `sealer`, where they may rotate;
        `retention` says for how long attributes of records and decisions on purposes are kept.
        """
        self._retention = retention or Retention()
        self._today = 0
        self._pseudonymiser = Pseudonymiser(policy, token_keys, order_key, sealer, region, purposes)
        self._keys = keys
        self._max_ahead_s = max_ahead_s
        self._segment = segment_options or segment.SegmentOptions()

    @property
    def blocked(self) -> Mapping[str, int]:
        """How many identifiers were dropped because they name nobody, by kind."""
        return self._pseudonymiser.blocked

    def age(self) -> KeyAge:
        """How old the keys are under which contributions are made."""
        return NO_KEYS if self._keys is None else self._keys.age()

    def look(self) -> None:
        """Renew the keys if they were rotated."""
        if self._keys is not None and not self._keys.is_current():
            self.renew()

    def renew(self) -> bool:
        """Use the keys of now and forget all that was made with others; whether any was new."""
        if self._keys is None:
            return False
        before = self._keys.age()
        self._pseudonymiser.renew(self._keys.renew())
        return self._keys.age() != before

    def from_json(self, line: bytes, received_us: int, published_us: int | None = None) -> Outcome:
        """One `ingest.v1.Signal` in proto JSON."""
        return self._take(decode_json.decode(line), received_us, published_us)

    def from_protobuf(
        self, data: bytes, received_us: int, published_us: int | None = None
    ) -> Outcome:
        """One serialized `ingest.v1.Signal`."""
        return self._take(decode_protobuf.decode(data), received_us, published_us)

    def from_segment(
        self, line: bytes, received_us: int, published_us: int | None = None
    ) -> list[Outcome]:
        """A Segment message, or a batch of them; one outcome each, in order."""
        decoded = segment.decode(line, self._segment)
        return [self._take(one, received_us, published_us) for one in decoded]

    def from_row(
        self,
        mapping: RowMapping,
        row: bytes | Mapping[str, Any],
        position: int,
        received_us: int,
        published_us: int | None = None,
    ) -> Outcome:
        """A row of a mapped file, a JSON line as bytes or a mapping of columns.

        `position` says where it stands in its file, the same each time it is
        read; with the row's content it names the signal where no column does.
        """
        return self._take(mapping.decode(row, position), received_us, published_us)

    def _take(
        self, decoded: RawSignal | Rejected, received_us: int, published_us: int | None
    ) -> Outcome:
        if isinstance(decoded, Rejected):
            return decoded
        wrong = validate.check(decoded, received_us, self._max_ahead_s)
        if wrong is not None:
            return wrong
        if received_us // DAY_US != self._today:
            self._today = received_us // DAY_US
            self._pseudonymiser.attributes_from = self._retention.attributes_from(self._today)
            kept = self._retention.due(self._today, {}).get(EvidenceKind.CONSENT)
            self._pseudonymiser.consents_from = NO_DAY if kept is None else kept
        return self._pseudonymiser.contribution(decoded, published_us)
