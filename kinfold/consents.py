"""Consent as staff and the server handle it: the ledger's answers, and decisions taken in."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from identity.store import GraphStore
from ingest.intake import Intake
from ingest.recording import ConsentRecorder, IntoStore, IntoTopic, Put
from ingest.source import SourceUnavailable
from ingest.v1.signal_pb2 import Signal
from kinfold.auditing import open_auditor
from kinfold.clusters import cluster_of
from kinfold.settings import Settings
from kinfold.wiring import Policies, graph_namer, now_us, open_builder, open_intake
from profiles.consent_answers import ConsentAnswers, Recorder
from profiles.serve.identity_service import ConsentSource
from profiles.vault import KeyVault


def open_answers(settings: Settings, policies: Policies, vault: KeyVault) -> ConsentAnswers:
    """What ConsentService and `kinfold consent` answer with."""
    name_of = graph_namer(settings, policies, vault)
    # A builder belongs to one thread, and the server's threads share the answers.
    return ConsentAnswers(
        policies.purposes,
        name_of,
        lambda evidence: open_builder(policies, vault).seen(evidence),
        policies.identity.deciders,
    )


def open_consents(settings: Settings, policies: Policies, vault: KeyVault) -> ConsentSource:
    """Consent over the graph, recorded where signals go."""
    answers = open_answers(settings, policies, vault)
    return ConsentSource(
        answers, lambda store: open_recorder(settings, policies, vault, answers, store)
    )


def open_recorder(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    answers: ConsentAnswers,
    store: GraphStore,
) -> Recorder:
    """A recorder for one thread, which owns the store."""
    intake = open_intake(settings, policies, vault)
    put = open_put(settings, vault, store, intake)
    return ConsentRecorder(intake, answers.unknown, put, lambda: secrets.token_hex(16), now_us)


def open_put(settings: Settings, vault: KeyVault, store: GraphStore, intake: Intake) -> Put:
    """Where the desk's signals go: the topic where Pulsar is set, else the store."""
    if settings.pulsar.url:
        return IntoTopic(_publish(settings))
    return IntoStore(store, open_auditor(settings, vault), intake.age)


def _publish(settings: Settings) -> Callable[[Signal], None]:
    """Publishes to the signals topic; connects with the first signal, and anew after a failure."""
    # Here, not above: a driver that is not asked for need not be loaded.
    from ingest.publish import SignalPublisher  # noqa: PLC0415

    cluster = cluster_of(settings)
    assert cluster is not None, "only called where Pulsar is set"
    held: list[SignalPublisher] = []

    def publish(signal: Signal) -> None:
        if not held:
            publisher = SignalPublisher(cluster, settings.pulsar.topic, linger_ms=0)
            held.append(publisher)
        try:
            held[0].publish([signal])
        except SourceUnavailable:
            held.pop().close()
            raise

    return publish
