"""All figures of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from identity.policy import IdentityPolicy
from kinfold.statistics import behaviour, consenting, drift, history, people, saying, scores
from kinfold.statistics.dead import DEAD_LETTERS
from kinfold.statistics.figure import Figure, Spec
from kinfold.statistics.gathered import Gathered
from kinfold.statistics.insight import Scoring
from kinfold.statistics.removed import ERASED
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
    scores.DISTRIBUTION,
    scores.CALIBRATION,
    scores.VERDICTS,
    saying.ATTRIBUTES,
    saying.MATCHED,
    saying.WITHHELD,
    drift.DRIFT,
    history.CHANGES,
    history.FRESHNESS,
    history.SIGNALS,
    history.LATENESS,
    history.REPEATED,
    consenting.CONSENT,
    consenting.JURISDICTIONS,
    consenting.REACH,
    consenting.RESTRICTED,
    behaviour.CATEGORIES,
    behaviour.HOURS,
    ERASED,
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
    models: tuple[Scoring, ...] = (),
    attribute: str = "",
) -> Iterator[Figure]:
    """Every figure but those of erasures and dead letters, with exact cells.

    `as_of_us` is the time the snapshot was taken; `minimum` the fewest people
    who may stand behind a cell once it is released, which sums are capped for;
    `models` those that the snapshot's scored links are of; `attribute` the one whose
    groups `gathered.said` tells.
    """
    yield from people.figures(gathered, identity, models, minimum)
    yield from scores.figures(gathered, models, minimum)
    yield from saying.figures(gathered, models, minimum, attribute)
    yield drift.figure(gathered, models, minimum)
    yield from history.figures(gathered, as_of_us, minimum)
    yield from consenting.figures(gathered, identity, purposes)
    yield from behaviour.figures(gathered, as_of_us)
