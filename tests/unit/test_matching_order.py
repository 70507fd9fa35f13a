"""People are a function of the set of records: order and batches change nothing."""

from dataclasses import replace
from functools import cache
from hashlib import blake2b

from hypothesis import given, settings
from hypothesis import strategies as st

from identity.matching.cluster import clusters
from identity.matching.matcher import Matcher
from identity.matching.model import HELD_APART_MBITS, Clustering, from_json, to_json
from identity.matching.score import Scorer
from identity.matching.training import train

KEY = b"a key of a test!"
_NAMES = "ann ana anne bob rob robert carol karol dan don".split()
_FAMILIES = "lee leigh gray grey hill hall".split()

records_strategy = st.lists(
    st.fixed_dictionaries(
        {"family_name": st.sampled_from(_FAMILIES)},
        optional={
            "given_name": st.sampled_from(_NAMES),
            "birth_date": st.sampled_from(["1990-01-02", "1990-01-03", "1990-02-01", "1971-11-30"]),
            "city": st.sampled_from(["leeds", "leads", "york"]),
            "email": st.sampled_from(["a@b.example", "al@b.example", "c@d.example"]),
        },
    ),
    min_size=1,
    max_size=14,
)


def order(record: str) -> int:
    """A digest that depends on the record's id alone."""
    return int.from_bytes(blake2b(record.encode(), digest_size=8).digest()) >> 1


@cache
def scorer(bound: int) -> Scorer:
    """A model of made-up records whose blocks are full beyond `bound` records."""
    records = [
        {
            "given_name": _NAMES[number * 7 % 10],
            "family_name": _FAMILIES[number * 5 % 6],
            "birth_date": f"19{60 + number * 11 % 40}-0{1 + number % 9}-1{number % 10}",
            "city": ["leeds", "york", "hull"][number % 3],
            "email": f"x{number * 13 % 97}@b.example",
        }
        for number in range(60)
    ]
    model = train(records + records[::2] + records[::3], name="made up", seed=3, key=KEY)
    blocking = tuple(replace(own, bound=bound) for own in model.blocking)
    return Scorer(replace(model, blocking=blocking), KEY)


@settings(max_examples=150, deadline=None)
@given(records=records_strategy, data=st.data(), bound=st.sampled_from([2, 3, 5, 100]))
def test_same_people_in_any_order_and_batches(
    records: list[dict[str, str]], data: st.DataObject, bound: int
) -> None:
    """One at a time in any order, with records that come and go, gives what all at once gives."""
    named = {str(number): record for number, record in enumerate(records)}
    whole = Matcher(scorer(bound), order)
    whole.update(named)
    stream = Matcher(scorer(bound), order)
    passing = data.draw(st.lists(st.sampled_from(sorted(named)), max_size=4), label="passing")
    for record in data.draw(st.permutations(sorted(named)), label="order"):
        stream.update({record: named[record]})
        if record in passing:
            stream.update({f"gone {record}": named[record]})
    stream.update(remove=[f"gone {record}" for record in dict.fromkeys(passing)])
    assert stream.people() == whole.people()
    for record in named:
        assert stream.links(record) == whole.links(record)


@settings(max_examples=100, deadline=None)
@given(records=records_strategy, bound=st.sampled_from([2, 100]))
def test_changes_tell_the_whole_difference(records: list[dict[str, str]], bound: int) -> None:
    """What a batch reports as gone and new is exactly how the people before and after differ."""
    matcher = Matcher(scorer(bound), order)
    known: set[frozenset[str]] = set()
    for number, record in enumerate(records):
        changes = matcher.update({str(number): record})
        assert set(changes.before) <= known
        known = known - set(changes.before) | set(changes.after)
        assert known == set(matcher.people())


@settings(max_examples=100, deadline=None)
@given(records=records_strategy)
def test_waterfall_adds_up_and_weights_are_symmetric(records: list[dict[str, str]]) -> None:
    """The bars of an explanation sum to the weight exactly, whichever record comes first."""
    own = scorer(100)
    prepared = [own.prepare(record) for record in records]
    for left in prepared:
        for right in prepared:
            assert own.weigh(left, right) == own.weigh(right, left)
            assert sum(bar.mbits for bar in own.explain(left, right)) == own.weigh(left, right)


@settings(max_examples=200, deadline=None)
@given(
    weights=st.dictionaries(
        st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]),
        st.integers(-9000, 9000) | st.just(HELD_APART_MBITS),
    ),
    naming=st.permutations(range(10)),
)
def test_clusters_do_not_depend_on_names_and_hold_apart(
    weights: dict[tuple[int, int], int], naming: list[int]
) -> None:
    """Groups follow from weights and order digests alone; pairs held apart never share one."""
    links: dict[int, dict[int, int]] = {}
    renamed: dict[int, dict[int, int]] = {}
    for (left, right), mbits in weights.items():
        for one, other in ((left, right), (right, left)):
            links.setdefault(one, {})[other] = mbits
            renamed.setdefault(naming[one], {})[naming[other]] = mbits
    plain = clusters(range(10), links, lambda key: key, Clustering())
    other_names = clusters(range(10), renamed, naming.index, Clustering())
    assert {frozenset(naming[key] for key in group) for group in plain} == set(other_names)
    for (left, right), mbits in weights.items():
        if mbits <= HELD_APART_MBITS:
            assert not any({left, right} <= group for group in plain)


def test_model_file_holds_the_whole_model() -> None:
    """A model read from its file is the model that was written."""
    model = scorer(100).model
    assert from_json(to_json(model)) == model


def test_model_is_the_same_every_time_and_holds_no_value() -> None:
    """Training twice gives the same bytes, none of them a value of a record."""
    records = [
        {"given_name": "Zebulon", "family_name": f"Quux{number % 7}", "city": "Xanadu"}
        for number in range(40)
    ]
    first, second = (to_json(train(records, name="x", seed=9, key=KEY)) for _ in range(2))
    assert first == second
    assert not any(word in first.lower() for word in ("zebulon", "quux", "xanadu"))
