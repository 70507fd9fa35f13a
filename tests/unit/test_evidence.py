"""Laws of settling and folding: what counts depends on the set of what arrived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from identity.engines.known_bytes import pack_known, unpack_known
from identity.evidence import (
    Known,
    add_activity,
    edges,
    expire,
    first_sight,
    fold,
    names_of,
    settle,
    signals_of,
    take_activity,
    touches_edge,
)
from identity.horizons import Horizons, alive, kinds_of, pairs, parts_of
from identity.model import DAY_US, HOUR_US, Contribution, EvidenceKind, Expiring, Fact
from identity.store import Outcome
from tests.support.evidence_strategies import (
    EXPIRING,
    FIRST_DAY,
    contribution,
    contributions,
    node,
    repeated,
    retraction,
)

horizon_maps = st.dictionaries(
    st.sampled_from(EXPIRING), st.integers(FIRST_DAY, FIRST_DAY + 5), max_size=4
)
KnownById = dict[int, Known]
LAW = settings(max_examples=40, deadline=None)


def settled(
    arrivals: Sequence[Contribution],
    horizons: Horizons | None = None,
    size: int = 1_000,
) -> KnownById:
    """What is known after settling in batches of `size`."""
    known: KnownById = {}
    for start in range(0, len(arrivals), size):
        batch = arrivals[start : start + size]
        wanted = {signal: known[signal] for signal in signals_of(batch) if signal in known}
        known |= settle(wanted, batch, horizons or {}).known
    return known


def counting(known: KnownById) -> list[Contribution]:
    """The contents that count."""
    return [live for one in known.values() if (live := one.live) is not None]


def expired(known: KnownById, horizons: Horizons) -> KnownById:
    """What is left under horizons."""
    left = {signal: expire(one, horizons) for signal, one in known.items()}
    return {signal: one for signal, one in left.items() if one is not None}


@LAW
@given(repeated().flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_))))
def test_order_makes_no_difference(arrivals: tuple[list[Contribution], list[Contribution]]) -> None:
    """Any permutation of the same arrivals leaves the same known."""
    assert settled(arrivals[0]) == settled(arrivals[1])


@LAW
@given(repeated(), st.integers(1, 5))
def test_batching_makes_no_difference(arrivals: list[Contribution], size: int) -> None:
    """One batch and many small ones leave the same known."""
    assert settled(arrivals) == settled(arrivals, size=size)


@LAW
@given(repeated())
def test_repetition_makes_no_difference(arrivals: list[Contribution]) -> None:
    """Settling everything again changes nothing and says so."""
    known = settled(arrivals)
    again = settle(known, arrivals, {})
    assert (again.known, again.added, again.taken) == ({}, [], [])
    assert set(again.outcomes) <= {Outcome.DUPLICATE, Outcome.OUTDONE}


@LAW
@given(repeated(), horizon_maps, st.integers(0, 20))
def test_a_horizon_may_come_at_any_point(
    arrivals: list[Contribution], horizons: Horizons, at: int
) -> None:
    """Expiring before, between or after the arrivals leaves the same known."""
    early = settled(arrivals, horizons)
    known = expired(settled(arrivals[:at]), horizons)
    for one in arrivals[at:]:
        known |= settle(known, [one], horizons).known
    assert known == early == expired(settled(arrivals), horizons)


@LAW
@given(repeated())
def test_settling_changes_neither_argument(arrivals: list[Contribution]) -> None:
    """What is known and the batch are read only."""
    known = settled(arrivals[: len(arrivals) // 2])
    before = deepcopy((known, arrivals))
    settle(known, arrivals, {})
    assert (known, arrivals) == before


@LAW
@given(repeated(), st.integers(1, 5))
def test_additions_and_removals_add_up_to_what_counts(
    arrivals: list[Contribution], size: int
) -> None:
    """Batch after batch, added without taken is the set of contents that count."""
    known: KnownById = {}
    held: dict[int, Contribution] = {}
    for start in range(0, len(arrivals), size):
        change = settle(known, arrivals[start : start + size], {})
        for gone in change.taken:
            assert held.pop(gone.signal) == gone
        for come in change.added:
            assert come.signal not in held
            held[come.signal] = come
        known |= change.known
    # Only a fact's publication may be moved, so that alone is told anew.
    assert {signal: replace(one, published_us=0) for signal, one in held.items()} == {
        one.signal: replace(one, published_us=0) for one in counting(known)
    }
    facts = [one for one in counting(known) if one.fact is not None]
    assert all(held[one.signal] == one for one in facts)


@LAW
@given(repeated(), horizon_maps)
def test_the_smallest_digest_alive_counts(arrivals: list[Contribution], horizons: Horizons) -> None:
    """Against a naive reading: smallest digest, published last after the last retraction."""
    known = settled(arrivals, horizons)
    for signal in {one.signal for one in arrivals}:
        contents = [
            one
            for one in arrivals
            if one.signal == signal and one.retracts is None and alive(one, horizons)
        ]
        retracted = [one.event_us for one in arrivals if one.retracts == signal]
        live = known[signal].live if signal in known else None
        if not contents:
            assert live is None
            continue
        smallest = min(one.digest for one in contents)
        published = [one.published_us for one in contents if one.digest == smallest]
        if max(published) <= max(retracted, default=-1):
            assert live is None
        else:
            assert live is not None
            assert (live.digest, live.published_us) == (smallest, min(published))


def outlived(smaller: Contribution, larger: Contribution) -> bool:
    """Whether all that is in a content is in another under no more horizons."""
    return all(
        any(kind is own and others <= named for own, others in parts_of(smaller))
        for kind, named in parts_of(larger)
    )


@LAW
@given(repeated())
def test_only_contents_that_may_yet_count_are_kept(arrivals: list[Contribution]) -> None:
    """Behind the smallest digest stand only contents that some horizon or fence lets outlive it."""
    for one in settled(arrivals).values():
        digests = [seen.content.digest for seen in one.seen]
        assert digests == sorted(set(digests))
        for place, seen in enumerate(one.seen):
            for smaller in one.seen[:place]:
                assert (
                    seen.content.event_us > smaller.content.event_us
                    or not all(
                        any(
                            kind is own and others <= named
                            for own, others in parts_of(smaller.content)
                        )
                        for kind, named in parts_of(seen.content)
                    )
                    or names_of(smaller.content) - names_of(seen.content)
                )


@LAW
@given(repeated())
def test_what_is_known_comes_back_from_bytes(arrivals: list[Contribution]) -> None:
    """Packing loses nothing, retracted and rival contents included."""
    for one in settled(arrivals).values():
        assert unpack_known(pack_known(one)) == one


def test_a_retraction_holds_whatever_else_comes_under_its_id() -> None:
    """A content with a smaller digest under the retraction's own id does not undo it."""
    gone = retraction(2, 1, at_us=9)
    for rival in (contribution(2, "login:a", at_us=n) for n in range(20)):
        for arrivals in ([gone, rival], [rival, gone]):
            known = settled([contribution(1, "login:a"), *arrivals])
            assert known[1].live is None
            assert known[2].live == rival


def test_a_retracted_retraction_still_holds() -> None:
    """Retractions are facts of their own date: taking one back is publishing the signal anew."""
    for arrivals in ([2, 1], [1, 2]):
        known = settled([contribution(1, "login:a"), *(retraction(n + 1, n) for n in arrivals)])
        assert known[1].live is None


def test_kinds_expire_apart() -> None:
    """A contribution is alive while any of its parts is."""
    bought = Fact(EvidenceKind.PURCHASE, (node("login:a").key,))
    one = contribution(1, "login:a", "device:a", fact=bought)
    assert kinds_of(one) == {EvidenceKind.LINK, EvidenceKind.ACTIVITY, EvidenceKind.PURCHASE}
    horizons: dict[Expiring, int] = dict.fromkeys(kinds_of(one), FIRST_DAY + 1)
    assert not alive(one, horizons)
    for kind in kinds_of(one):
        assert alive(one, horizons | {kind: FIRST_DAY})
    assert alive(retraction(1, 2), horizons)


def test_a_kind_of_identifier_takes_its_links_and_doings() -> None:
    """What names an identifier goes with its kind, its facts stay as long as facts do."""
    agreed = Fact(EvidenceKind.CONSENT, (node("device:a").key,))
    one = contribution(1, "device:a", "login:a", fact=agreed)
    horizons: dict[Expiring, int] = {"device": FIRST_DAY + 1}
    assert list(pairs(one, horizons)) == []
    assert fold([one], (), horizons).activity == {}
    assert alive(one, horizons)
    assert not alive(one, {**horizons, EvidenceKind.CONSENT: FIRST_DAY + 1})
    assert alive(contribution(2, "login:a", "email:a", "device:a"), horizons)


def test_an_external_id_is_under_both_its_kinds() -> None:
    """`external:crm` goes at its own horizon and at that of `external`, whichever is later."""
    one = contribution(1, "external:crm:a", "email:a")
    for kind in ("external", "external:crm"):
        assert list(pairs(one, {kind: FIRST_DAY + 1})) == []
        assert len(list(pairs(one, {kind: FIRST_DAY}))) == 1
    assert len(list(pairs(one, {"external:shop": FIRST_DAY + 1}))) == 1


def test_pairs_are_of_all_nodes_and_lower_key_first() -> None:
    """Every two nodes are a link; those with a record follow the records' horizon."""
    one = contribution(1, "login:a", "device:a", "record:a")
    login, device, record = (each.key for each in one.nodes)
    assert set(pairs(one, {})) == {(device, login), (login, record), (device, record)}
    assert set(pairs(one, {EvidenceKind.RECORD: FIRST_DAY + 1})) == {(device, login)}
    assert set(pairs(one, {EvidenceKind.LINK: FIRST_DAY + 1})) == {
        (login, record),
        (device, record),
    }


@LAW
@given(st.lists(contributions(), max_size=12), st.lists(contributions(), max_size=6))
def test_taking_undoes_adding(stay: list[Contribution], leave: list[Contribution]) -> None:
    """Counts after adding all and taking some are those of adding the rest alone."""
    everything = fold([*stay, *leave], leave, {})
    rest = fold(stay, (), {})
    for cell, less in everything.less_activity.items():
        entry = everything.activity[cell]
        take_activity(entry, less)
        if cell in rest.activity:
            wanted = rest.activity[cell]
            assert [entry[0], *entry[3:]] == [wanted[0], *wanted[3:]]
        else:
            assert [entry[0], *entry[3:]] == [0, {}, {}]


@LAW
@given(st.lists(contributions(), max_size=12), st.integers(0, 12))
def test_folding_parts_adds_up(everything: list[Contribution], at: int) -> None:
    """Two parts folded apart and added are the whole folded at once."""
    first, second = fold(everything[:at], (), {}), fold(everything[at:], (), {})
    for cell, more in second.activity.items():
        if cell in first.activity:
            add_activity(first.activity[cell], more)
        else:
            first.activity[cell] = more
    assert first.activity == fold(everything, (), {}).activity


@LAW
@given(st.lists(contributions(), max_size=12))
def test_edges_are_those_of_a_fold(everything: list[Contribution]) -> None:
    """First and last found anew are those that folding the same contents keeps."""
    deltas = fold(everything, (), {})
    link_edges, holder_edges = edges(everything, set(deltas.links), set(deltas.activity))
    assert link_edges == {cell: (delta[1], delta[2]) for cell, delta in deltas.links.items()}
    assert holder_edges == {cell: (entry[1], entry[2]) for cell, entry in deltas.activity.items()}


@LAW
@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.data())
def test_an_edge_that_is_not_touched_stays(times: list[int], data: st.DataObject) -> None:
    """Taking signals strictly between first and last moves neither."""
    taken = data.draw(st.lists(st.sampled_from(times), min_size=1, max_size=len(times) - 1))
    rest = _without(times, taken)
    if rest and not touches_edge((min(times), max(times)), (min(taken), max(taken))):
        assert (min(rest), max(rest)) == (min(times), max(times))


def _without(times: Iterable[int], taken: Iterable[int]) -> list[int]:
    rest = list(times)
    for at in taken:
        if at in rest:
            rest.remove(at)
    return rest


def test_activity_is_kept_per_hour_of_the_day() -> None:
    """Hours are those of the UTC day, first and last the signals' own times."""
    late = contribution(1, "login:a", at_us=23 * HOUR_US + 5, cells=("type:click",))
    (entry,) = fold([late], (), {}).activity.values()
    at_us = FIRST_DAY * DAY_US + 23 * HOUR_US + 5
    assert entry == [1, at_us, at_us, {23: 1}, {"type:click": 1}]


def test_first_sight_counts() -> None:
    """What arrives first is live."""
    one = contribution(1, "login:a")
    assert first_sight(one).live == one
