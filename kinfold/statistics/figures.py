"""All figures of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from identity.policy import IdentityPolicy
from kinfold.statistics import behaviour, consenting, history, people
from kinfold.statistics.dead import DEAD_LETTERS
from kinfold.statistics.figure import Figure, Spec
from kinfold.statistics.gathered import Gathered
from profiles.purposes import PurposePolicy

SPECS: tuple[Spec, ...] = (
    people.SIZE,
    people.PEOPLE_BY_KIND,
    *people.PER_PERSON.values(),
    people.SPREADS,
    people.MATCH,
    people.ACROSS,
    people.LINKS,
    people.KNOWN,
    people.FIRST_LOGIN,
    people.DEVICES,
    people.SHARED,
    history.CHANGES,
    history.FRESHNESS,
    history.SIGNALS,
    history.LATENESS,
    history.REPEATED,
    consenting.CONSENT,
    consenting.PLACES,
    consenting.REACH,
    behaviour.CATEGORIES,
    behaviour.HOURS,
    DEAD_LETTERS,
)
"""Every figure's definition, in the order in which they are told."""


def figures(
    gathered: Gathered,
    identity: IdentityPolicy,
    purposes: PurposePolicy,
    *,
    as_of_us: int,
    minimum: int,
) -> Iterator[Figure]:
    """Every figure but those of dead letters, with exact cells.

    `as_of_us` is the time the snapshot was taken; `minimum` the fewest people
    who may stand behind a cell once it is released, which sums are capped for.
    """
    yield from people.figures(gathered, identity, minimum)
    yield from history.figures(gathered, as_of_us, minimum)
    yield from consenting.figures(gathered, identity, purposes)
    yield from behaviour.figures(gathered, as_of_us)
