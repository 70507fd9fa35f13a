"""A release of all figures from one snapshot, with its manifest, entered in the register."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from identity.horizons import name_of
from identity.snapshot import Snapshot, Snapshots
from ingest.dead_letters import DeadLetter
from kinfold.register import Exported, Register
from kinfold.statistics.dead import figure as dead_letters
from kinfold.statistics.dead import nameable
from kinfold.statistics.figure import Figure, Spec
from kinfold.statistics.figures import SPECS, figures
from kinfold.statistics.gathered import Gathered, gather
from kinfold.statistics.insight import NO_INSIGHT, Insight, Scoring
from kinfold.statistics.rates import rates
from kinfold.statistics.release import RELEASED, Released, release
from kinfold.statistics.removed import figure as erased
from kinfold.wiring import Policies

LARGEST = 20
Tell = Callable[[str], None]
STEPS = 7
"""How often `tell` is called."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a release is made under.

    `expires_us`: when the recipient must have deleted it, 0 for never;
    `policy`: which policy, by a digest of its text; `place`: where it goes.
    """

    minimum: int
    recipient: str = ""
    expires_us: int = 0
    policy: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Released figures with their manifest; `largest` are ids of the people with most nodes.

    `held_since` in the manifest: when the first figures of the register were
    released, against which all later ones are held; None: these are the first.
    """

    manifest: dict[str, Any]
    figures: tuple[Released, ...]
    largest: tuple[str, ...]

    def rates(self) -> pl.DataFrame:
        """Rates that the figures add up to, as `rates.RATES`."""
        return rates(self.figures)

    def table(self) -> pl.DataFrame:
        """All cells of all figures, as one table."""
        named = [
            each.cells.select(pl.lit(each.spec.id).alias("figure"), *RELEASED)
            for each in self.figures
        ]
        return pl.concat([pl.DataFrame(schema={"figure": pl.String, **RELEASED}), *named])


def take(
    snapshots: Snapshots,
    letters: Callable[[], Iterator[DeadLetter]],
    policies: Policies,
    register: Register,
    terms: Terms,
    *,
    now_us: int,
    only: Collection[str] = (),
    tell: Tell = lambda _: None,
    insight: Insight = NO_INSIGHT,
) -> Release:
    """Count figures, all or `only` some, and release them.

    The snapshot is read whole before anything is counted, and closed. What is
    released is in the register before it is returned.

    Raises: StoreError, LettersError, LedgerError, RegisterError (LowerMinimum).
    """
    with snapshots.take() as snapshot:
        gathered = gather(snapshot, policies.identity, tell, insight)
        largest = _largest(snapshot, gathered)
    tell("figures")
    models = insight.models(gathered.moment.model)
    made = list(_figures(gathered, letters, policies, terms, now_us, insight))
    wanted = [each for each in made if not only or each.spec.id in only]
    done: list[Released] = []
    tell("release")
    with register.writing():
        first_us = register.hold_to(terms.minimum)
        for each in wanted:
            one = release(each, register.held(each.spec.id), terms.minimum)
            register.hold(each.spec.id, terms.minimum, dict(one.held))
            done.append(one)
        register.note(
            Exported("figures", now_us, terms.recipient, "", terms.expires_us, terms.place, 0)
        )
    specs = [each.spec for each in done]
    manifest = _manifest(gathered, terms, specs, models, now_us)
    manifest["held_since"] = None if first_us is None else _time(first_us)
    return Release(manifest, tuple(done), largest)


def _figures(
    gathered: Gathered,
    letters: Callable[[], Iterator[DeadLetter]],
    policies: Policies,
    terms: Terms,
    now_us: int,
    insight: Insight,
) -> Iterator[Figure]:
    yield from figures(
        gathered,
        policies.identity,
        policies.purposes,
        as_of_us=now_us,
        minimum=terms.minimum,
        models=insight.models(gathered.moment.model),
        attribute=insight.group,
    )
    yield erased(insight.erasures(), now_us)
    yield dead_letters(letters(), nameable(gathered, terms.minimum))


def _largest(snapshot: Snapshot, gathered: Gathered) -> tuple[str, ...]:
    """Ids of the people with the most nodes, for review; nothing stands beside them."""
    largest = (
        gathered.people.filter(pl.col("nodes") > 1)
        .sort("nodes", "person", descending=[True, False])
        .head(LARGEST)
        .select("person", place=pl.int_range(pl.len()))
    )
    found = [frame.join(largest, on="person") for frame in snapshot.ids()]
    if not found:
        return ()
    return tuple(pl.concat(found).sort("place")["id"].to_list())


def _manifest(
    gathered: Gathered,
    terms: Terms,
    specs: list[Spec],
    models: tuple[Scoring, ...],
    now_us: int,
) -> dict[str, Any]:
    moment = gathered.moment
    return {
        "taken_at": _time(now_us),
        "snapshot": {
            "resolution": moment.resolution,
            "horizons": {name_of(kind): day for kind, day in moment.horizons.items()},
            "is_resolved": moment.marks == 0,
        },
        "models": [
            {
                "of": one.name,
                "fingerprint": one.pin,
                "made": one.card.get("date"),
                "links_from_bits": one.link_mbits / 1_000,
                "reviewed_from_bits": one.review_mbits / 1_000,
                "measured": one.card.get("calibration"),
            }
            for one in models
        ],
        "policy": terms.policy,
        "minimum_people": terms.minimum,
        "rounded_to_nearest": "minimum_people times the most that one person adds",
        "recipient": terms.recipient,
        "expires_at": _time(terms.expires_us) if terms.expires_us else None,
        "figures": [{**asdict(spec), "shape": spec.shape.value} for spec in specs],
    }


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="seconds")


def unknown(names: Collection[str]) -> list[str]:
    """Those of the names that are no figure."""
    known = {spec.id for spec in SPECS}
    return sorted(set(names) - known)


def closing_letters(opened: Any) -> Iterator[DeadLetter]:
    """All letters, and then they are closed."""
    with closing(opened) as letters:
        yield from letters.all()
