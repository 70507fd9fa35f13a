"""Puts together what erasing people needs, from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

from identity.store import GraphStore, StoreUnavailable
from kinfold.auditing import open_audit
from kinfold.clusters import cluster_of
from kinfold.erasing import Erasing, Places, Step
from kinfold.feeds import settle
from kinfold.intaking import letters_about
from kinfold.keys import note_erasure
from kinfold.letters import open_letters
from kinfold.releasing import open_register
from kinfold.rotating import next_rotation_us
from kinfold.settings import Settings
from kinfold.wiring import (
    Policies,
    ledger_path,
    now_us,
    open_intake,
    open_tokens,
)
from profiles.consent import LEGAL_HOLD, set_apart
from profiles.deletions import DeletionLedger
from profiles.privacy import Status
from profiles.pulsar_cluster import Forgetting, PulsarCluster, PulsarRefused
from profiles.requests import InStore
from profiles.vault import KeyVault

_POLL_S = 0.01
_SETTLED_S = 60.0
Settle = Callable[[], None]


def open_ledger(settings: Settings, vault: KeyVault) -> DeletionLedger:
    """The deletion ledger of this home.

    Raises: LedgerError.
    """
    tokens = open_tokens(vault)
    ledger = DeletionLedger(ledger_path(settings), tokens.forward, tokens.chain)
    ledger.put_back(lambda: len(vault.token_keys()))
    return ledger


@contextmanager
def open_erasing(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    store: GraphStore,
    *,
    settle_up: Settle | None = None,
    step: Step = lambda _: None,
    patience_s: float = _SETTLED_S,
) -> Iterator[Erasing]:
    """What erases people from everything that these settings name; for one thread.

    `settle_up` brings people and profiles up to date; by default this process
    does, or waits for the one that holds the lease. So long as `patience_s` an
    erasure waits while nodes are being named anew.

    Raises:
        LettersError, LedgerError, RegisterError, AuditError: it cannot be reached.
    """

    def settled() -> None:
        settle(settings, policies, vault, store)

    with ExitStack() as stack:
        letters = stack.enter_context(closing(open_letters(settings)))
        register = stack.enter_context(closing(open_register(settings)))
        audit = stack.enter_context(closing(open_audit(settings, vault)))
        ledger = stack.enter_context(closing(open_ledger(settings, vault)))
        intake = open_intake(settings, policies, vault)

        def renewed() -> None:
            _use_names_of_now(vault, ledger, patience_s)
            intake.look()

        places = Places(
            store=store,
            letters=letters,
            about=letters_about(settings, policies, vault, intake),
            register=register,
            audit=audit,
            ledger=ledger,
            settle=settle_up or settled,
            renew=renewed,
            is_held=lambda evidence: LEGAL_HOLD in set_apart(evidence),
            forget=lambda: note_erasure(vault, now_us()),
            elsewhere=elsewhere(settings, next_rotation_us(vault, settings.keys.rotate_days)),
            unreadable_us=lambda: next_rotation_us(vault, settings.keys.rotate_days),
            now_us=now_us,
        )
        yield Erasing(places, policies.identity, step)


def _use_names_of_now(vault: KeyVault, ledger: DeletionLedger, patience_s: float) -> None:
    until_s = time.monotonic() + patience_s
    while True:
        tokens = open_tokens(vault)
        ledger.use(tokens.forward, tokens.chain)
        if ledger.is_current():
            return
        if time.monotonic() > until_s:
            raise StoreUnavailable("nodes are being named anew under new token keys; try again")
        time.sleep(_POLL_S)


def waits_for_upkeep(store: GraphStore, timeout_s: float = _SETTLED_S) -> Settle:
    """Settling where another thread or process does the upkeep: wait until nothing is left to do.

    The call raises StoreUnavailable when that takes longer than the time given.
    """

    def settled() -> None:
        until_s = time.monotonic() + timeout_s
        while store.marks(1) or store.outbox(1):
            if time.monotonic() > until_s:
                raise StoreUnavailable("nobody keeps people and profiles up; is kinfold running?")
            time.sleep(_POLL_S)

    return settled


def elsewhere(settings: Settings, due_us: int) -> tuple[InStore, ...]:
    """What is true of the places that no erasure reaches, or not at once.

    `due_us`: when keys are rotated next; 0: by hand alone.
    """
    day = datetime.fromtimestamp(due_us / 1_000_000, UTC).date().isoformat() if due_us else ""
    until = f"keys rotate, planned for {day}" if due_us else "`kinfold keys rotate` is run"
    sealed = f"freed pages, logs and backups hold sealed values that open until {until}"
    found = [
        InStore("sealed copies", Status.PARTIAL, sealed),
        InStore("consent proofs", Status.DONE, "the audit log keeps tokens and times as proof"),
    ]
    if not settings.pulsar.url:
        return (
            InStore("profile feed", Status.DONE),
            InStore("read view", Status.DONE),
            *found,
            InStore("input", Status.IMPOSSIBLE, "files that signals were read from are not ours"),
        )
    cluster = cluster_of(settings)
    assert cluster is not None, "Pulsar is set"
    return (
        InStore("profile feed", Status.PARTIAL, "older records go when the topic is compacted"),
        InStore("read view", Status.PARTIAL, "each replica drops the person when it hears of it"),
        *found,
        InStore("input", Status.PARTIAL, _forgets(cluster, settings.pulsar.topic, now_us())),
    )


def _forgets(cluster: PulsarCluster, topic: str, at_us: int) -> str:
    try:
        return forgets(cluster.forgetting(topic), at_us)
    except PulsarRefused:
        return "the topic of signals forgets at its own retention, which could not be asked for"


def forgets(topic: Forgetting, at_us: int) -> str:
    """By when the topic of signals no longer holds what was sent until now, and on what terms."""
    if topic.keeps_min < 0 and topic.keeps_mb < 0:
        return "the topic of signals keeps everything for good: give it a retention"
    if topic.keeps_min < 0:
        kept = f"the last {topic.keeps_mb} MB of what was acknowledged, however old it is"
        return f"the topic of signals keeps {kept}: give it a retention in time"
    wait_s = topic.at_most_s()
    if wait_s is None:
        closed = "its ledgers are closed when they are full, at no time"
        return f"nobody can say when the topic of signals forgets: {closed}"
    day = datetime.fromtimestamp(at_us / 1_000_000 + wait_s, UTC).date().isoformat()
    closed = "" if topic.keeps_min else "when its ledger is closed, "
    said = f"the topic of signals forgets what was sent until now {closed}by {day}"
    if not topic.is_told:
        said += f" (if ledgers are closed within {topic.open_min} minutes, as is Pulsar's default)"
    return f"{said}, or when every subscription has acknowledged it, if that is later"
