"""The Pulsar topic of dead letters under its contract."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from uuid import uuid4

import pytest

from ingest.dead_letters_pulsar import PulsarLetters
from profiles.compacted_topic import CompactedReader
from profiles.pulsar_cluster import PulsarCluster
from tests.contracts.dead_letters import DeadLettersContract, OpenLetters, letter
from tests.support.servers import PulsarServer


@pytest.fixture
def cluster(pulsar_server: PulsarServer) -> PulsarCluster:
    """The session's Pulsar, as kinfold names it."""
    return PulsarCluster(pulsar_server.service_url, pulsar_server.admin_url)


@pytest.fixture
def topic() -> str:
    """A topic of its own, not yet made."""
    return f"persistent://public/default/dead-letters-{uuid4().hex}"


class TestPulsarLetters(DeadLettersContract):
    """A compacted topic on a real broker."""

    @pytest.fixture
    def open_letters(self, cluster: PulsarCluster, topic: str) -> OpenLetters:
        """Opens the same topic each time."""
        return partial(PulsarLetters, cluster, topic)


def test_compaction_leaves_one_message_a_letter(
    cluster: PulsarCluster, topic: str, pulsar_server: PulsarServer
) -> None:
    """Letters kept again and again take the place of one, and of removed ones no input is left."""
    with closing(PulsarLetters(cluster, topic)) as opened:
        letters = [letter(number) for number in range(10)]
        for _ in range(5):
            opened.keep(letters)
        opened.remove(letters[:4])
        # The removal has started one, which need not see all: let it end, then compact once more.
        while cluster.is_compacting(topic):
            time.sleep(0.05)
        pulsar_server.compact(topic.removeprefix("persistent://"))
        with CompactedReader(cluster, topic) as reader:
            kept = [message.partition_key() for message in reader.rest() if message.data()]
            assert sorted(kept) == sorted(each.id for each in letters[4:])
        assert list(opened.all()) == letters[4:]
