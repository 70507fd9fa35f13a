"""Consuming the signals topic: a pipeline for each of its partitions, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from ingest.consumer import consume
from ingest.pipeline import Pipeline, Step
from ingest.source import ReadLimits
from kinfold.clusters import cluster_of
from kinfold.intaking import Intaking, Reading
from kinfold.letters import open_letters
from kinfold.settings import Settings
from kinfold.wiring import Policies, open_store
from profiles.vault import KeyVault


def consume_topic(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    stop: threading.Event,
    after: Callable[[Step], None],
    *,
    form: str = "signals",
    replay: bool = False,
) -> None:
    """Take in what the topic has and gets, each partition over a store of its own.

    `after` hears of every batch. `form` is what messages are; `replay` reads from the beginning.

    Raises: what `ingest.consumer.consume` raises.
    """
    # Here, not above: a driver that is not asked for need not be loaded.
    from ingest.source_pulsar import PulsarSource  # noqa: PLC0415

    cluster = cluster_of(settings)
    assert cluster is not None, "only called where Pulsar is set"
    limits = ReadLimits(settings.ingest.batch_size, max(settings.ingest.linger_ms, 1))
    source = PulsarSource(cluster, settings.pulsar.topic, settings.pulsar.subscription, limits)
    intaking = Intaking(settings, policies, vault, Reading(form))

    @contextmanager
    def open_pipeline(partition: str) -> Iterator[Pipeline]:
        with closing(open_store(settings)) as store, closing(open_letters(settings)) as letters:
            yield intaking.pipeline(source, partition, store, letters, stop, replay=replay)

    with closing(source):
        consume(source.partitions(), open_pipeline, stop, after)
