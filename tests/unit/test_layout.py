"""Layouts give back what they were made of, and a choice shows just what it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from profiles.layout import Choice, Place, bounds, choose, cut, layout_of, places, shape_of

FIELDS, PURPOSES, OWN = st.integers(1, 12), st.integers(0, 15), st.sampled_from([0, 0, 1, 2, 8])
PLACES = st.builds(Place, FIELDS, PURPOSES, OWN)
SECTIONS = st.dictionaries(PLACES, st.binary(max_size=20), max_size=12)


@given(SECTIONS)
def test_a_layout_tells_what_the_sections_are_and_where(
    sections: dict[Place, bytes],
) -> None:
    """Each in its order, and where the last one ends is how long all of them are."""
    layout = layout_of(sections)
    opened = b"".join(sections.values())
    begins = bounds(layout)
    assert list(places(shape_of(layout))) == list(sections)
    assert begins[0] == 0
    assert begins[-1] == len(opened)
    # A section for one purpose has an entry of no length before it.
    ends = [at for at, place in enumerate(_entries(sections)) if place is not None]
    told = [opened[begins[at] : begins[at + 1]] for at in ends]
    assert told == list(sections.values())


def _entries(sections: Iterable[Place]) -> Iterator[Place | None]:
    for place in sections:
        if place.own:
            yield None
        yield place


@given(
    SECTIONS,
    st.integers(0, 2**13 - 1),
    st.integers(0, 2**13 - 1),
    st.integers(0, 15),
)
def test_what_is_shown_is_asked_for_may_be_seen_and_is_allowed(
    sections: dict[Place, bytes], fields: int, may_see: int, allowed: int
) -> None:
    """Section by section, by the definition; of all else that was asked for the field is told."""
    layout = layout_of(sections)
    opened = b"".join(sections.values())
    shown, withheld = [], 0
    for (field, purposes, own), section in sections.items():
        is_seen = fields >> field & may_see >> field & 1
        has_more = own and purposes & ~own & allowed
        if is_seen and has_more:
            continue
        if is_seen and (own or purposes) & allowed:
            shown.append(section)
        elif fields >> field & 1:
            withheld |= 1 << field
    chosen = choose(shape_of(layout), fields, may_see, allowed)
    assert chosen.withheld == withheld
    found = opened if chosen.runs is None else cut(opened, layout, chosen.runs)
    assert found == b"".join(shown)
    if not sections:
        assert chosen == Choice((), 0)
