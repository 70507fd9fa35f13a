"""Processes that consume one topic share its partitions, and inherit those of whoever dies."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from ingest.source_pulsar import PulsarSource
from profiles.pulsar_cluster import PulsarCluster
from tests.support.servers import PulsarServer

PARTITIONS = 4
PATIENCE_S = 100.0
Context = multiprocessing.get_context("spawn")


@pytest.fixture
def cluster(pulsar_server: PulsarServer) -> PulsarCluster:
    """The session's Pulsar, as kinfold names it."""
    return PulsarCluster(pulsar_server.service_url, pulsar_server.admin_url)


@pytest.fixture
def topic(cluster: PulsarCluster) -> str:
    """A topic of its own."""
    name = f"persistent://public/default/shared-{uuid4().hex}"
    cluster.create_partitioned(name, PARTITIONS)
    return name


@pytest.fixture
def first(cluster: PulsarCluster, topic: str) -> Iterator[PulsarSource]:
    """A consumer's source."""
    with closing(PulsarSource(cluster, topic)) as source:
        yield source


def share(source: PulsarSource) -> set[str]:
    """The partitions that a source's process is to take."""
    return {each for each in source.partitions() if source.wants(each)}


def until(done: Callable[[], bool]) -> None:
    """Wait for a condition; an assertion fails when it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _share_for_ever(cluster: PulsarCluster, topic: str) -> None:
    source = PulsarSource(cluster, topic)
    while True:
        share(source)
        time.sleep(1)


def test_one_alone_takes_all(first: PulsarSource) -> None:
    """A process that is alone wants every partition."""
    assert share(first) == set(first.partitions())


def test_two_take_half_each_and_one_that_leaves_gives_back(
    cluster: PulsarCluster, topic: str, first: PulsarSource
) -> None:
    """With a second process each has half, no partition twice and none left out."""
    share(first)
    second = PulsarSource(cluster, topic)
    until(lambda: len(share(first)) == len(share(second)) == PARTITIONS // 2)
    assert share(first) | share(second) == set(first.partitions())
    second.close()
    until(lambda: share(first) == set(first.partitions()))


def test_the_share_of_one_that_is_killed_is_taken(
    cluster: PulsarCluster, topic: str, first: PulsarSource
) -> None:
    """After kill -9 of a process the others want its partitions."""
    share(first)
    second = Context.Process(target=_share_for_ever, args=(cluster, topic))
    second.start()
    until(lambda: len(share(first)) == PARTITIONS // 2)
    second.kill()
    second.join()
    until(lambda: share(first) == set(first.partitions()))


def test_without_its_administration_everything_is_wanted(
    cluster: PulsarCluster, topic: str
) -> None:
    """Who cannot read the members takes what it gets: holding a partition stays exclusive."""
    blind = PulsarCluster(cluster.service_url, "http://127.0.0.1:9")
    with closing(PulsarSource(blind, topic)) as source:
        assert all(source.wants(f"{topic}-partition-{each}") for each in range(PARTITIONS))
