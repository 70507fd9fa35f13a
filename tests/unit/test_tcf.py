"""Consent strings are decoded strictly: whatever is not wholly understood is no consent."""

from __future__ import annotations

import random
import string
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from profiles.tcf import MAX_CHARS, ConsentString, PublisherTc, Rejected, Vendors, decode
from tests.support.tcf_encoding import DAY_DS, Said, entries, flags, number, packed

LETTERS = string.ascii_letters + string.digits + "-_"
DAY_US = DAY_DS * 100_000


def numbers(most: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Some of the numbers from 1 to the most."""
    return st.sets(st.integers(1, most), max_size=12).map(lambda found: tuple(sorted(found)))


restrictions = st.dictionaries(
    st.tuples(st.integers(1, 24), st.integers(0, 2)), numbers(300), max_size=3
).map(lambda found: tuple((*key, whom) for key, whom in found.items()))
strings = st.builds(
    Said,
    created_ds=st.integers(0, 21_000 * DAY_DS),
    updated_ds=st.integers(21_000 * DAY_DS, 2**36 - 1),
    cmp_id=st.integers(2, 4095),
    cmp_version=st.integers(0, 4095),
    screen=st.integers(0, 63),
    language=st.sampled_from(["EN", "DE", "ZA", "AZ"]),
    vendor_list=st.integers(0, 4095),
    policy=st.integers(2, 5),
    own_texts=st.booleans(),
    features=numbers(12),
    purposes=numbers(24),
    interests=numbers(24),
    purpose_one_untold=st.booleans(),
    vendors=numbers(2_000),
    vendor_interests=numbers(65_535),
    ranges=st.just(True),
    restrictions=restrictions,
    disclosed=st.none() | numbers(500),
    allowed=st.none() | numbers(500),
    publisher=st.none() | numbers(24),
    publisher_interests=numbers(24),
    custom=st.integers(0, 40),
)


@given(strings, st.booleans())
def test_what_was_written_is_read(said: Said, ranges: bool) -> None:
    """Every field of every segment comes back as it was, whichever way vendors are listed."""
    found = decode(said.but(ranges=ranges).text())
    assert isinstance(found, ConsentString), found
    assert (found.created_us, found.updated_us) == (
        said.created_ds * 100_000,
        said.updated_ds * 100_000,
    )
    assert (found.cmp_id, found.cmp_version, found.screen) == (
        said.cmp_id,
        said.cmp_version,
        said.screen,
    )
    assert (found.language, found.vendor_list, found.policy) == (
        said.language,
        said.vendor_list,
        said.policy,
    )
    assert found.service_specific
    assert (found.own_texts, found.purpose_one_untold) == (
        said.own_texts,
        said.purpose_one_untold,
    )
    assert found.country == said.country
    assert found.features == set(said.features)
    assert found.purpose_consents == set(said.purposes)
    assert found.purpose_interests == set(said.interests)
    assert tuple(found.vendor_consents) == said.vendors
    assert tuple(found.vendor_interests) == said.vendor_interests
    assert said.restrictions == tuple(
        (one.purpose, one.kind, tuple(one.vendors)) for one in found.restrictions
    )
    assert (None if found.disclosed is None else tuple(found.disclosed)) == said.disclosed
    assert (None if found.allowed is None else tuple(found.allowed)) == said.allowed
    if said.publisher is None:
        assert found.publisher is None
    else:
        own = (frozenset(said.publisher), frozenset(said.publisher_interests))
        assert found.publisher == PublisherTc(*own, frozenset(), frozenset())


FULL = Said(
    purposes=(1, 3, 24),
    features=(1,),
    vendors=tuple(range(1, 60)),
    restrictions=((2, 1, (3, 4, 9)),),
    disclosed=(1, 5, 9),
    allowed=(2,),
    publisher=(1, 2),
    custom=3,
    custom_consents=(3,),
)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_truncated_string_is_no_consent(ranges: bool) -> None:
    """Cut anywhere but between segments, it says nothing at all."""
    text = FULL.but(ranges=ranges).text()
    whole = {at for at, letter in enumerate(text) if letter == "."}
    for end in range(len(text)):
        found = decode(text[:end])
        assert isinstance(found, ConsentString if end in whole else Rejected), end


def test_a_segment_that_was_lost_is_unknown() -> None:
    """The segments that are left say what they said, the lost ones nothing."""
    whole = decode(FULL.text())
    core = decode(FULL.text().partition(".")[0])
    assert isinstance(whole, ConsentString)
    assert isinstance(core, ConsentString)
    assert (core.disclosed, core.allowed, core.publisher) == (None, None, None)
    assert core.vendor_consents == whole.vendor_consents


@given(numbers(65_535), st.integers(-70_000, 70_000))
def test_vendors_are_who_was_named(named: tuple[int, ...], other: int) -> None:
    """As bits they are what they are as a set, in and out, in order."""
    found = Vendors(sum(1 << one for one in named))
    assert tuple(found) == named
    assert len(found) == len(named)
    assert (other in found) is (other in named)
    assert all(one in found and -one not in found for one in named)


PUBLISHER = number(3, 3) + flags((1,), 24) + flags((), 24) + number(0, 6)
RANGE = number(9, 16) + "1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (".", "empty"),
        (FULL.text() + ".", "more segments than there are kinds"),
        (Said().text() + ".", "empty"),
        (Said().text() + "=", "not base64url"),
        (Said().text() + "\n", "not base64url"),
        (" " + Said().text(), "not base64url"),
        (Said().text().replace("A", "+"), "not base64url"),
        ("é" * 40, "not base64url"),
        ("A" * (MAX_CHARS + 1), f"longer than {MAX_CHARS} characters"),
        (Said().text() + "AAAA", "goes on after its end"),
        (packed(Said().core() + "01"), "bits set after its end"),
        (Said(version=1).text(), "of a version other than 2"),
        (Said(version=3).text(), "of a version other than 2"),
        (Said(created_ds=2, updated_ds=1).text(), "updated before it was created"),
        (Said(cmp_id=1).text(), "from a consent platform that cannot be"),
        (Said(policy=1).text(), "under a policy version that is not known"),
        (Said(policy=6).text(), "under a policy version that is not known"),
        (Said(service_specific=False).text(), "of the global scope, which holds no more"),
        (
            FULL.but(service_specific=False, restrictions=(), publisher=None).text(),
            "of the global scope, which holds no more",
        ),
        (Said(language="E[").text(), "a letter beyond Z"),
        (Said(restrictions=((0, 1, (2,)),)).text(), "a restriction that cannot be"),
        (Said(restrictions=((25, 1, (2,)),)).text(), "a restriction that cannot be"),
        (Said(restrictions=((2, 3, (2,)),)).text(), "a restriction that cannot be"),
        (Said(restrictions=((2, 1, (2,)), (2, 1, (3,)))).text(), "a restriction twice"),
        (Said(restrictions=((2, 1, (0,)),)).text(), "a range of vendors that cannot be"),
        (f"{Said().text()}.{packed(number(0, 3) + PUBLISHER)}", "a second core"),
        (
            f"{Said().text()}.{packed(number(4, 3) + number(0, 17))}",
            "a kind of segment that is not known",
        ),
        (f"{Said().text()}.{packed(PUBLISHER)}.{packed(PUBLISHER)}", "a segment twice"),
        (
            f"{Said().text()}.{packed(number(1, 3) + RANGE + entries((10,)))}",
            "a range of vendors that cannot be",
        ),
        (
            f"{Said().text()}.{packed(number(1, 3) + RANGE + number(2, 12) + (number(5, 17)) * 2)}",
            "a vendor twice",
        ),
        (
            f"{Said().text()}.{packed(number(1, 3) + RANGE + number(1, 12) + '1' + number(6, 16) + number(5, 16))}",  # noqa: E501 - one range that runs backwards
            "a range of vendors that cannot be",
        ),
    ],
)
def test_what_is_not_understood_is_rejected_with_its_reason(text: str, reason: str) -> None:
    """Unknown versions and segments, contradictions and bits out of place are no consent."""
    found = decode(text)
    assert isinstance(found, Rejected), found
    assert found.reason == reason


@given(st.text(max_size=200) | st.text(LETTERS + ".", max_size=400))
@settings(max_examples=400)
@example("C")
@example("\ud800")
def test_nothing_makes_it_raise(text: str) -> None:
    """Any text gives a string or a reason."""
    assert isinstance(decode(text), ConsentString | Rejected)


@given(strings, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_mutations_of_a_string_make_nothing_raise(said: Said, drawn: random.Random) -> None:
    """Letters changed, lost, doubled or swapped give a string or a reason."""
    for _ in range(20):
        assert isinstance(decode(mutated(said.text(), drawn)), ConsentString | Rejected)


def mutated(text: str, drawn: random.Random) -> str:
    """The text with a letter or two changed, lost, doubled or swapped."""
    letters = list(text)
    for _ in range(drawn.randint(1, 3)):
        at = drawn.randrange(len(letters))
        match drawn.randrange(4):
            case 0:
                letters[at] = drawn.choice(LETTERS + ".")
            case 1 if len(letters) > 1:
                del letters[at]
            case 2:
                letters.insert(at, drawn.choice(letters))
            case _:
                other = drawn.randrange(len(letters))
                letters[at], letters[other] = letters[other], letters[at]
    return "".join(letters)


EVERYBODY = tuple(range(1, 65_536))
RESTRICTED = tuple((purpose, kind, EVERYBODY) for purpose in range(1, 25) for kind in range(3))


def test_the_largest_lists_of_vendors_are_read() -> None:
    """A string can claim all vendors there can be, and no vendor twice."""
    found = decode(Said(vendors=EVERYBODY, vendor_interests=EVERYBODY).text())
    assert isinstance(found, ConsentString)
    assert len(found.vendor_consents) == 65_535
    greedy = number(65_535, 16) + "1" + number(4_095, 12)
    greedy += ("1" + number(1, 16) + number(65_535, 16)) * 4_095
    assert decode(f"{Said().text()}.{packed(number(1, 3) + greedy)}") == Rejected(
        "segment 2", "a vendor twice"
    )


@pytest.mark.parametrize(
    "said",
    [
        Said(restrictions=RESTRICTED),
        Said(restrictions=RESTRICTED, disclosed=EVERYBODY, allowed=EVERYBODY, ranges=True),
        Said(vendors=EVERYBODY, vendor_interests=EVERYBODY[::2]),
    ],
)
def test_a_string_builds_no_more_than_is_bounded(said: Said) -> None:
    """However many vendors its ranges name: 76 lists at most, of eight kilobytes each."""
    text = said.text()
    tracemalloc.start()
    try:
        found = decode(text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found, ConsentString)
    assert most < 1 << 20
