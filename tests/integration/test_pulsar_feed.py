"""The profile feed on a real, compacted topic under its contract, and what only Pulsar promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from profiles.feed import Delivered, FeedUnavailable, ProfileFeed
from profiles.feed_pulsar import PulsarFeed, PulsarFeedReader
from profiles.follower import Follower
from profiles.pulsar_cluster import COMPACTION, PulsarCluster
from profiles.read_view import ReadView
from tests.contracts.profile_feed import A, B, FeedCase, ProfileFeedContract, shown
from tests.support.profile_parts import feed_records, lists, person_id
from tests.support.servers import PulsarServer

PATIENCE_S = 100.0


@pytest.fixture
def cluster(pulsar_server: PulsarServer) -> PulsarCluster:
    """The session's Pulsar, as kinfold names it."""
    return PulsarCluster(pulsar_server.service_url, pulsar_server.admin_url)


class PulsarCase:
    """A feed over a topic of its own, with a view that follows it."""

    keeps_a_log = True

    def __init__(self, cluster: PulsarCluster, folder: Path) -> None:
        self.cluster = cluster
        self.topic = f"persistent://public/default/feed-{uuid4().hex}"
        self.folder = folder
        self.feed: ProfileFeed = PulsarFeed(cluster, self.topic)
        self.views = [ReadView(folder / "first")]

    def followed(self) -> ReadView:
        """The first view, caught up from where it was."""
        view = self.views[0]
        reader = PulsarFeedReader(self.cluster, self.topic, view.position())
        return self._caught_up(reader, view)

    def from_nothing(self) -> ReadView:
        """A new view, from a topic that has been compacted."""
        self.compacted()
        view = ReadView(self.folder / f"view-{len(self.views)}")
        self.views.append(view)
        return self._caught_up(PulsarFeedReader(self.cluster, self.topic), view)

    def compacted(self) -> None:
        """Compact the topic, and wait until that is done."""
        deadline = time.monotonic() + PATIENCE_S
        for _ in range(2):
            self.cluster.compact(self.topic)
            while self.cluster.is_compacting(self.topic):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def close(self) -> None:
        """Let go of feed and views."""
        self.feed.close()
        for view in self.views:
            view.close()

    @staticmethod
    def _caught_up(reader: PulsarFeedReader, view: ReadView) -> ReadView:
        follower = Follower(reader, view, lambda: time.time_ns() // 1_000_000)
        deadline = time.monotonic() + PATIENCE_S
        while follower.step(timeout_ms=200) or follower.backlog():
            assert time.monotonic() < deadline, "the view never caught up"
        reader.close()
        return view


@pytest.fixture
def made(cluster: PulsarCluster, tmp_path: Path) -> Iterator[PulsarCase]:
    """A feed with its view."""
    case = PulsarCase(cluster, tmp_path)
    yield case
    case.close()


class TestPulsarFeed(ProfileFeedContract):
    """A compacted topic on a real broker."""

    @pytest.fixture
    def case(self, made: PulsarCase) -> FeedCase:
        """The feed under test."""
        return made


def test_a_topic_keeps_its_records_before_the_first_compaction(made: PulsarCase) -> None:
    """From the first record on the broker holds a cursor that keeps all of them."""
    made.feed.publish(feed_records(1, lists("p", A)))
    assert COMPACTION in made.cluster.subscriptions(made.topic)


def test_a_replica_that_comes_first_makes_the_same_topic(
    cluster: PulsarCluster, tmp_path: Path
) -> None:
    """A reader of a topic that is not there yet makes one that keeps what is published later."""
    case = PulsarCase(cluster, tmp_path)
    reader = PulsarFeedReader(cluster, case.topic)
    assert reader.poll(100) == []
    assert COMPACTION in cluster.subscriptions(case.topic)
    case.feed.publish(feed_records(1, lists("p", A)))
    assert [each.record.person_id for each in reader.poll(60_000)] == [person_id("p")]
    reader.close()
    case.close()


def test_a_topic_that_was_half_made_is_made_whole(
    cluster: PulsarCluster, pulsar_server: PulsarServer, tmp_path: Path
) -> None:
    """Where making the topic was cut short, the next to open it does the rest."""
    case = PulsarCase(cluster, tmp_path)
    pulsar_server.admin("PUT", case.topic.replace("://", "/"))
    assert COMPACTION not in cluster.subscriptions(case.topic)
    case.feed.publish(feed_records(1, lists("p", A)))
    assert COMPACTION in cluster.subscriptions(case.topic)
    case.close()


def test_a_former_feeder_is_refused(made: PulsarCase) -> None:
    """Once another feeder has taken over, what the former one publishes changes nothing."""
    made.feed.publish(feed_records(1, lists("p", A)))
    successor = PulsarFeed(made.cluster, made.topic)
    successor.publish(feed_records(2, lists("p", B, version=2)))
    with pytest.raises(FeedUnavailable, match="another writer has taken"):
        made.feed.publish(feed_records(1, lists("p", A)))
    assert shown(made.followed())[0] == {B: person_id("p")}
    successor.close()


def test_what_comes_late_does_not_outlive_what_is_newer(made: PulsarCase) -> None:
    """A feeder that repeats an old sequence does not bring it back by compaction."""
    made.feed.publish(feed_records(1, lists("p", A), lists("q", B)))
    made.feed.publish(feed_records(5, lists("p", A, version=5)))
    made.feed.close()
    anew = PulsarFeed(made.cluster, made.topic)
    anew.publish(feed_records(1, lists("p", A), lists("q", B)))
    anew.publish(feed_records(2, lists("q", B, version=2)))
    assert shown(made.from_nothing())[1] == {person_id("p"): (1, 5), person_id("q"): (1, 2)}
    anew.close()


def test_the_backlog_tells_how_far_a_rebuild_is(made: PulsarCase) -> None:
    """Before a rebuild the backlog is what compaction left and what came since; then it shrinks."""
    for sequence in range(1, 6):
        people = [lists(f"p{letter}", A, version=sequence) for letter in "abcdefgh"]
        made.feed.publish(feed_records(sequence, *people))
    made.compacted()
    made.feed.publish(feed_records(6, lists("pa", A, version=6)))
    reader = PulsarFeedReader(made.cluster, made.topic)
    assert reader.backlog() == 9
    read = 0
    while read < 9:
        read += len(reader.poll(1_000))
        assert reader.backlog() == 9 - read
    reader.close()


def test_a_view_goes_on_from_its_position(made: PulsarCase) -> None:
    """A replica that was away reads only what came since, whatever compaction took away."""
    made.feed.publish(feed_records(1, lists("p", A), lists("q", B)))
    view = made.followed()
    position = view.position()
    made.feed.publish(feed_records(2, lists("q", B, version=2)))
    made.feed.publish(feed_records(3, lists("p", A, version=3)))
    made.compacted()
    reader = PulsarFeedReader(made.cluster, made.topic, position)
    came: list[Delivered] = []
    while len(came) < 2:
        came += reader.poll(1_000)
    assert [each.record.sequence for each in came] == [2, 3]
    assert reader.poll(100) == []
    reader.close()


class TestBrokerDies:
    """On a broker of its own, since it will not be the same afterwards."""

    @pytest.fixture
    def pulsar_server(self, mortal_pulsar: PulsarServer) -> PulsarServer:
        """The broker that dies."""
        return mortal_pulsar

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_a_feed_outlives_its_broker(
        self, made: PulsarCase, pulsar_server: PulsarServer
    ) -> None:
        """After kill -9 all that was published is there, and reader and feed go on."""
        made.feed.publish(feed_records(1, lists("p", A)))
        reader = PulsarFeedReader(made.cluster, made.topic)
        assert len(reader.poll(60_000)) == 1
        pulsar_server.process.kill()
        pulsar_server.process.restart()
        made.feed.publish(feed_records(2, lists("q", B)))
        came: list[Delivered] = []
        deadline = time.monotonic() + PATIENCE_S
        while not came and time.monotonic() < deadline:
            came = reader.poll(1_000)
        assert [each.record.person_id for each in came] == [person_id("q")]
        assert shown(made.followed())[0] == {A: person_id("p"), B: person_id("q")}
        reader.close()
