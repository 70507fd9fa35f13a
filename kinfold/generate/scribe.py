"""Writing signals down: their ids and times, and what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from kinfold.generate.people import pick
from kinfold.generate.spec import CohortSpec
from kinfold.generate.truth import Truth
from kinfold.generate.words import CATEGORIES
from kinfold.generate.world import Tag, Wire

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

CLAIMED = "ASSURANCE_CLAIMED"
AUTHENTICATED = "ASSURANCE_AUTHENTICATED"

_OFFSET_HOURS = {"Europe/London": 0, "America/Sao_Paulo": -3}
"""Hours east of UTC, the whole year; everywhere else 1. Nobody here changes the clock."""

_TWO = tuple(f"{n:02d}" for n in range(60))
_NO_BODY = "00000000-0000-0000-0000-000000000000"
PLACEHOLDERS: tuple[Wire, ...] = (
    {"kind": "phone", "value": "0000"},
    {"kind": "email", "value": "test@test.com"},
    {"kind": "customer_id", "value": "unknown"},
    {"kind": "advertising_id", "value": _NO_BODY},
)

Arrival = tuple[int, int, Wire]
"""When it arrives in milliseconds since 1970, a number that breaks ties, the signal."""


class Scribe:
    """Writes one cohort's signals down in proto JSON form, `out` being where they pile up.

    `random` is drawn from by everything; the cohort reseeds it for every
    household and day, so that what happens in one never changes another.
    """

    def __init__(self, spec: CohortSpec, truth: Truth) -> None:
        self.spec = spec
        self.truth = truth
        self.rng = Random()  # noqa: S311 - the same seed must give the same signals
        self.random = self.rng.random
        self.out: list[Arrival] = []
        self.day = 0
        self.midnight_ms = 0
        self._start_ms = (
            int(datetime.combine(spec.start, datetime.min.time(), UTC).timestamp()) * 1000
        )
        self._count = 0
        self._dates: dict[int, str] = {}
        self._late = spec.late
        self._twice = spec.late + spec.duplicate
        self._rewritten = self._twice + spec.rewritten
        self._wrong = self._rewritten + spec.bad

    def turn_to(self, day: int) -> None:
        """Begin a day, counted from the cohort's first."""
        self.day = day
        self.midnight_ms = self._start_ms + day * DAY_MS

    def moment(self, zone: str, hours: tuple[int, ...]) -> int:
        """A moment of the UTC day in one of these local hours, in milliseconds since 1970."""
        random = self.random
        hour = (hours[int(random() * len(hours))] - _OFFSET_HOURS.get(zone, 1)) % 24
        return self.midnight_ms + hour * HOUR_MS + int(random() * HOUR_MS)

    def stamp(self, at_ms: int) -> str:
        """RFC 3339 in UTC with milliseconds."""
        day, rest = divmod(at_ms, DAY_MS)
        date = self._dates.get(day)
        if date is None:
            date = self._dates[day] = datetime.fromtimestamp(day * 86_400, UTC).strftime(
                "%Y-%m-%dT"
            )
        rest, ms = divmod(rest, 1000)
        rest, second = divmod(rest, 60)
        hour, minute = divmod(rest, 60)
        return f"{date}{_TWO[hour]}:{_TWO[minute]}:{_TWO[second]}.{ms:03d}Z"

    def put(
        self,
        source: str,
        at_ms: int,
        tags: Sequence[Tag],
        content: str,
        body: Wire,
        *,
        assurance: str | None = None,
        context: Wire | None = None,
        wires: list[Wire] | None = None,
    ) -> Wire:
        """Write one signal; now and then it comes late, twice, changed, or beside a bad one.

        `wires` are the identifiers as written, when they differ from the tags' own.
        """
        self._count += 1
        signal: Wire = {
            "source": source,
            "signalId": f"{source}-{self._count:08x}",
            "eventTime": self.stamp(at_ms),
            "identifiers": wires or [tag.wire for tag in tags],
            content: body,
        }
        if assurance is not None:
            signal["assurance"] = assurance
        if context is not None:
            signal["context"] = context
        self.truth.saw(tags)
        self.truth.counts["distinct"] += 1
        fate = self.random()
        if fate < self._wrong:
            self._mishap(fate, at_ms, content, signal)
        else:
            self.out.append((at_ms + int(fate * 4000), self._count, signal))
        return signal

    def put_once(
        self, source: str, at_ms: int, content: str, body: Wire, tags: Sequence[Tag]
    ) -> Wire:
        """Write one signal that arrives once and in time: retractions, and what they take back."""
        self._count += 1
        signal: Wire = {
            "source": source,
            "signalId": f"{source}-{self._count:08x}",
            "eventTime": self.stamp(at_ms),
            "publishTime": self.stamp(at_ms),
            content: body,
        }
        if tags:
            signal["identifiers"] = [tag.wire for tag in tags]
            signal["assurance"] = CLAIMED
        self.truth.saw(tags)
        self.truth.counts["distinct"] += 1
        self.out.append((at_ms, self._count, signal))
        return signal

    def retract(self, signal: Wire, at_ms: int, reason: str) -> None:
        """Take a signal back that was written with `put_once`, at a later time."""
        body = {"signalId": signal["signalId"], "reason": reason}
        self.put_once(signal["source"], at_ms, "retracted", body, ())
        self.truth.counts["retractions"] += 1

    def _mishap(self, fate: float, at_ms: int, content: str, signal: Wire) -> None:
        random, counts = self.random, self.truth.counts
        number = self._count
        if fate < self._late:
            arrival = at_ms + HOUR_MS + int(random() ** 3 * 71 * HOUR_MS)
            signal["publishTime"] = self.stamp(arrival)
            counts["late"] += 1
            self.out.append((arrival, number, signal))
            return
        self.out.append((at_ms, number, signal))
        again = at_ms + 1_000 + int(random() ** 4 * 30 * HOUR_MS)
        self._count += 1
        if fate < self._twice:
            counts["duplicates"] += 1
            self.out.append((again, self._count, signal))
        elif fate < self._rewritten:
            category = signal[content].get("category") if content == "behaviour" else None
            if category is not None:
                counts["rewritten"] += 1
                other = CATEGORIES[(CATEGORIES.index(category) + 1) % len(CATEGORIES)]
                changed = signal | {content: signal[content] | {"category": other}}
                self.out.append((again, self._count, changed))
        else:
            self._bad(at_ms, content, signal)

    def _bad(self, at_ms: int, content: str, good: Wire) -> None:
        """Another signal like a good one, but broken in one of six ways."""
        number = self._count
        broken = good | {"signalId": f"{good['source']}-bad-{number:08x}"}
        how = pick(self.rng, _BREAKS)
        if how == "no_event_time":
            del broken["eventTime"]
        elif how == "nonsense_phone":
            broken["identifiers"] = [{"kind": "phone", "value": "ring twice, ask for Bo"}]
        elif how == "far_ahead":
            broken["eventTime"] = self.stamp(at_ms + 40 * 365 * DAY_MS)
        elif how == "no_identifier":
            # A record may come without identifiers; a sighting may not.
            del broken[content]
            broken |= {"identifiers": [], "deviceSeen": {}}
        elif how == "unknown_kind":
            broken["identifiers"] = [{"kind": "shoe_size", "value": "42-and-a-half"}]
        else:
            broken["eventTime"] = "the day before yesterday"
        self.truth.bad[how] += 1
        self.out.append((at_ms, number, broken))


_BREAKS = (
    "no_event_time",
    "nonsense_phone",
    "far_ahead",
    "no_identifier",
    "unknown_kind",
    "unreadable_time",
)
