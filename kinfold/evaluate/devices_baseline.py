"""What device matching is measured against: TF-IDF cosine with mutual best, no threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from math import log, sqrt

from identity.matching.devices.device import Sighting
from identity.model import DAY_US
from kinfold.evaluate.devices_reading import DESKTOP, PHONE, Study

Terms = Callable[[Sighting], Iterable[Hashable]]
Vector = Mapping[Hashable, float]


def network_day(seen: Sighting) -> list[Hashable]:
    """The network on its UTC day."""
    return [] if seen.network is None else [("cell", seen.network, seen.at_us // DAY_US)]


def network_and_site(seen: Sighting) -> list[Hashable]:
    """The network on its UTC day, the network, and the site."""
    network = [] if seen.network is None else [("network", seen.network)]
    visited = [] if seen.visited is None else [("visited", seen.visited)]
    return [*network_day(seen), *network, *visited]


def mutual_best(study: Study, terms: Terms) -> set[tuple[str, str]]:
    """Pairs of a phone and a desktop, each the other's most similar, above nothing at all.

    Counts times smoothed inverse document frequency, unit length, as
    scikit-learn's TfidfVectorizer makes them by default.
    """
    vectors = _vectors(study, terms)
    best: dict[str, tuple[float, str]] = {}
    for phone, own in vectors.items():
        for desktop, other in vectors.items():
            if study.types[phone] != PHONE or study.types[desktop] != DESKTOP:
                continue
            similarity = _dot(own, other)
            if similarity > 0:
                best[phone] = max(best.get(phone, (0.0, "")), (similarity, desktop))
                best[desktop] = max(best.get(desktop, (0.0, "")), (similarity, phone))
    return {
        (phone, desktop)
        for phone, (_, desktop) in best.items()
        if study.types[phone] == PHONE and best[desktop][1] == phone
    }


def _vectors(study: Study, terms: Terms) -> dict[str, Vector]:
    counts = {
        key: Counter(term for seen in own for term in terms(seen))
        for key, own in study.sightings.items()
    }
    devices = Counter(term for own in counts.values() for term in own)
    found: dict[str, Vector] = {}
    for key, own in counts.items():
        raw = {
            term: count * (log((1 + len(counts)) / (1 + devices[term])) + 1)
            for term, count in own.items()
        }
        length = sqrt(sum(value * value for value in raw.values())) or 1.0
        found[key] = {term: value / length for term, value in raw.items()}
    return found


def _dot(left: Vector, right: Vector) -> float:
    if len(left) > len(right):
        left, right = right, left
    return sum(value * right[term] for term, value in left.items() if term in right)
