"""`Turning` between Pulsar topics: every rotation of keys ends in a topic of its own."""

from __future__ import annotations

from typing import Protocol

from profiles.feed import FeedUnavailable, ProfileFeed
from profiles.feed_pulsar import PulsarFeed
from profiles.pulsar_cluster import COMPACTION, PulsarCluster, PulsarRefused
from profiles.turning import BothFeeds

FEED = "feed"
"""The number in the vault that says which topic followers are to read."""


class Numbers(Protocol):
    """Numbers that every process reads alike (`profiles.vault.KeyVault`)."""

    def agreed(self, name: str) -> int:
        """The number under a name; 0 at first."""

    def agree(self, name: str, number: int) -> None:
        """Put a number down."""


def topic_of(topic: str, number: int) -> str:
    """The feed's topic by its number; the first one is `topic` itself."""
    return f"{topic}-{number}" if number else topic


class PulsarTurning:
    """As the protocol says, over topics that begin with `topic`.

    `feed` is that of the first topic, and is opened only where that is the present
    one. Followers learn of the fresh topic from `numbers`. The former one is given
    all that is published for as long as somebody reads it.
    """

    def __init__(
        self, cluster: PulsarCluster, topic: str, numbers: Numbers, feed: PulsarFeed
    ) -> None:
        self._cluster = cluster
        self._topic = topic
        self._numbers = numbers
        self._number = 0
        self._present = feed
        self._both: BothFeeds | None = None

    def begin(self) -> ProfileFeed:
        """See `Turning`."""
        self._let_go()
        fresh = topic_of(self._topic, self._number + 1)
        self._told_delete(fresh)
        self._both = BothFeeds(self._present, PulsarFeed(self._cluster, fresh))
        return self._both

    def switch(self) -> None:
        """See `Turning`."""
        self._numbers.agree(FEED, self._number + 1)

    def resume(self) -> ProfileFeed:
        """See `Turning`."""
        if self._both is not None:
            return self._both
        number = self._numbers.agreed(FEED)
        if number == 0 or not self._exists(topic_of(self._topic, number - 1)):
            return self.present()
        self._present.close()
        self._number = number - 1
        self._present = PulsarFeed(self._cluster, topic_of(self._topic, self._number))
        fresh = PulsarFeed(self._cluster, topic_of(self._topic, number))
        self._both = BothFeeds(self._present, fresh)
        return self._both

    def is_left(self) -> bool:
        """See `Turning`."""
        if self._both is None:
            return True
        former = topic_of(self._topic, self._number)
        try:
            if self._cluster.subscriptions(former) - {COMPACTION}:
                return False
        except PulsarRefused as refusal:
            raise FeedUnavailable(str(refusal)) from None
        self._let_go()
        self._told_delete(former)
        return True

    def present(self) -> ProfileFeed:
        """See `Turning`."""
        self._let_go()
        number = self._numbers.agreed(FEED)
        if number != self._number:
            self._present.close()
            self._number = number
            self._present = PulsarFeed(self._cluster, topic_of(self._topic, number))
        return self._present

    def close(self) -> None:
        """See `Turning`."""
        self._let_go()
        self._present.close()

    def _let_go(self) -> None:
        """Close what is beside the present feed; that one may be opened anew at any time."""
        if self._both is not None:
            self._both.close()
            self._present.close()
            self._both = None

    def _exists(self, topic: str) -> bool:
        try:
            return self._cluster.exists(topic)
        except PulsarRefused as refusal:
            raise FeedUnavailable(str(refusal)) from None

    def _told_delete(self, topic: str) -> None:
        try:
            self._cluster.delete(topic)
        except PulsarRefused as refusal:
            raise FeedUnavailable(str(refusal)) from None
