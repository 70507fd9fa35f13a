"""The contract of ProfileFeed: one test per promise of `profiles.feed`, run by every engine."""

from __future__ import annotations

from typing import Protocol

import pytest

from identity.model import NodeKey, PersonId
from profiles.feed import ProfileFeed
from profiles.read_view import GONE, MERGED, ReadView
from profiles.v1.feed_pb2 import FeedRecord
from tests.support.profile_parts import feed_records, gone, key, lists, merged, person_id

A, B, C = (key("login", name) for name in "abc")


class FeedCase(Protocol):
    """A feed of the test's own, with a read view that follows it."""

    feed: ProfileFeed
    keeps_a_log: bool
    """Whether a view that starts from nothing can be filled from the feed alone."""

    def followed(self) -> ReadView:
        """The view, after it has taken in all that was published so far."""

    def from_nothing(self) -> ReadView:
        """Another view, filled from the feed's beginning to where it is now."""


def shown(view: ReadView) -> tuple[dict[NodeKey, PersonId], dict[PersonId, tuple[int, int]]]:
    """All a view shows: aliases, and per id its state and version."""
    states = {person: (stored.state, stored.version) for person, stored in view.everything()}
    return view.all_aliases(), states


class ProfileFeedContract:
    """Every engine's test class inherits these and gives the fixture `case`."""

    def test_nothing_published_is_lost(self, case: FeedCase) -> None:
        """What was published shows in the view, one call or several, one sequence or several."""
        case.feed.publish(feed_records(1, lists("p", A), lists("q", B)))
        case.feed.publish(
            [*feed_records(2, lists("p", A, C, version=2)), *feed_records(3, gone("q"))]
        )
        aliases, states = shown(case.followed())
        assert aliases == {A: person_id("p"), C: person_id("p")}
        assert states == {person_id("p"): (1, 2), person_id("q"): (GONE, 0)}

    def test_grants_travel_with_the_policy_that_gave_them(self, case: FeedCase) -> None:
        """Bits arrive beside the digest of the policy that says what they mean, both as sent."""
        record = lists("p", A)
        record.profile.granted_purposes, record.profile.policy = 1 << 63 | 5, (1 << 64) - 3
        case.feed.publish(feed_records(1, record))
        stored = case.followed().stored(person_id("p"))
        assert stored is not None
        assert (stored.granted, stored.policy) == (1 << 63 | 5, (1 << 64) - 3)

    def test_every_id_is_there(self, case: FeedCase) -> None:
        """A view that starts from nothing comes to show the same as one that followed all along."""
        if not case.keeps_a_log:
            pytest.skip("opted out: without a log, Feeder.refill fills a new view")
        for sequence in range(1, 8):
            case.feed.publish(feed_records(sequence, lists("p", A, version=sequence)))
        case.feed.publish(feed_records(8, lists("q", B), lists("r", C), gone("s")))
        case.feed.publish(feed_records(9, merged("q", "p"), lists("p", A, B, version=9)))
        followed, fresh = shown(case.followed()), shown(case.from_nothing())
        assert followed == fresh
        assert set(fresh[1]) == {person_id(name) for name in "pqrs"}
        assert fresh[1][person_id("q")] == (MERGED, 0)

    def test_sequences_stay_whole(self, case: FeedCase) -> None:
        """Half a sequence, from a feeder that was killed, shows only once it is whole."""
        case.feed.publish(feed_records(1, lists("p", A), lists("q", B)))
        half = feed_records(2, lists("p", B, version=2), lists("q", A, version=2))
        case.feed.publish([_copy(record) for record in half[:1]])
        aliases, _ = shown(case.followed())
        assert aliases == {A: person_id("p"), B: person_id("q")}
        case.feed.publish(half)
        aliases, _ = shown(case.followed())
        assert aliases == {A: person_id("q"), B: person_id("p")}

    def test_again_is_harmless(self, case: FeedCase) -> None:
        """A sequence published twice, or an older one late, changes nothing newer."""
        first = feed_records(1, lists("p", A, version=1), lists("q", B, version=1))
        second = feed_records(2, lists("p", B, version=2), gone("q"))
        for records in (first, second, second, first):
            case.feed.publish([_copy(record) for record in records])
        aliases, states = shown(case.followed())
        assert aliases == {B: person_id("p")}
        assert states == {person_id("p"): (1, 2), person_id("q"): (GONE, 0)}

    def test_silence_is_noticed(self, case: FeedCase) -> None:
        """A beat is heard, though nothing changed; without one, time stands still."""
        case.feed.publish(feed_records(1, lists("p", A)))
        view = case.followed()
        heard_ms, before = view.heard_ms(), shown(view)
        assert heard_ms > 0
        assert case.followed().heard_ms() == heard_ms
        case.feed.beat()
        view = case.followed()
        assert view.heard_ms() > heard_ms
        assert shown(view) == before

    def test_no_records_are_a_no_op(self, case: FeedCase) -> None:
        """Publishing nothing is allowed and shows nowhere."""
        case.feed.publish([])
        assert case.followed().people_count() == 0

    def test_a_large_sequence_arrives_whole(self, case: FeedCase) -> None:
        """Five hundred people of one sequence arrive together."""
        names = [f"p{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(500)]
        records = [lists(name, key("login", name), sealed=bytes(1_500)) for name in names]
        case.feed.publish(feed_records(1, *records))
        assert case.followed().people_count() == 500


def _copy(record: FeedRecord) -> FeedRecord:
    return FeedRecord.FromString(record.SerializeToString())
