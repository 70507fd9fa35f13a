"""Snapshots, the register and releases from settings."""

from __future__ import annotations

import hashlib
import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path

from identity.matching.verdict import thresholds
from identity.model import NodeKey
from identity.snapshot import Snapshots
from ingest.payloads import comparable, read_record
from kinfold.auditing import log_export
from kinfold.letters import open_letters
from kinfold.model_errors import ModelsError
from kinfold.models import DEVICES, RECORDS, Models
from kinfold.register import Register
from kinfold.settings import Settings
from kinfold.statistics.exporting import Release, Terms, closing_letters, take
from kinfold.statistics.insight import Insight, Scoring
from kinfold.wiring import (
    ledger_path,
    made_home,
    now_us,
    open_models,
    open_policies,
    open_sealer,
    open_store,
    open_vault,
    store_password,
)
from profiles import contexts
from profiles.deletions import DeletionLedger, Erasure
from profiles.sealing import Unreadable
from profiles.vault import KeyDestroyed, KeyVault

Tell = Callable[[str], None]
NICE = 10
_STARTED_AT = os.getpriority(os.PRIO_PROCESS, 0)
"""The niceness this process was started at: counting twice gives way no further."""
_FURTHEST_MBITS = 200_000


def open_snapshots(settings: Settings) -> Snapshots:
    """Snapshots of the graph that `graph.url` names, which is brought to the present version.

    Raises: as `wiring.open_store`.
    """
    open_store(settings).close()
    if settings.graph.url.startswith("sqlite"):
        # Here, not above: a driver that is not asked for need not be loaded.
        from identity.engines.sqlite.snapshot import SqliteSnapshots  # noqa: PLC0415

        path = settings.graph.url.partition(":")[2]
        return SqliteSnapshots(Path(path) if path else made_home(settings) / "graph.sqlite3")
    from identity.engines.neo4j.snapshot import Neo4jSnapshots  # noqa: PLC0415

    auth = (settings.graph.user, store_password(settings))
    return Neo4jSnapshots(settings.graph.url, auth, settings.graph.database)


def open_register(settings: Settings) -> Register:
    """The register of exports; every one is in the audit log, too.

    Raises: RegisterError.
    """
    return Register(
        Path(settings.statistics.register or made_home(settings) / "register.sqlite3"),
        lambda number, export: log_export(settings, number, export),
    )


def policy_version(settings: Settings) -> str:
    """The first 12 digits of SHA-256 over the policy's text."""
    if settings.home.policy:
        text = Path(settings.home.policy).read_bytes()
    else:
        text = files("kinfold").joinpath("default_policy.toml").read_bytes()
    return hashlib.sha256(text).hexdigest()[:12]


def insight(settings: Settings, vault: KeyVault) -> Insight:
    """The models in the home folder and the keys to open records with.

    A model that is not there, or cannot be read, is left out.
    """
    models, sealer = open_models(settings, vault), open_sealer(vault)

    def named(text: str) -> tuple[Scoring, ...]:
        found = []
        for one in text.split(";"):
            kinds, _, pin = one.partition("=")
            with suppress(ModelsError):
                found += [_scoring(models, frozenset(kinds.split(",")), pin)] if pin else []
        return tuple(found)

    def opened(key: NodeKey, payload: bytes) -> Mapping[str, str]:
        try:
            content = sealer.open(payload, contexts.of_record(key))
        except (Unreadable, KeyDestroyed):
            return {}
        # Matching leaves the country out, a comparison of groups may want it.
        country = read_record(content).get("address.country")
        return comparable(content) | ({"country": country} if country else {})

    return Insight(named, opened, settings.statistics.group, lambda: _erasures(settings))


def _erasures(settings: Settings) -> Sequence[Erasure]:
    path = ledger_path(settings)
    if not path.exists():
        return ()
    # Tokens are not looked at, so there is no chain to bring them up to.
    with closing(DeletionLedger(path, lambda key, _: key, 1)) as ledger:
        return ledger.erasures()


def _scoring(models: Models, kinds: frozenset[str], pin: str) -> Scoring:
    kind, card = models.kind_of(pin), models.card(pin)
    if kind is RECORDS:
        model = models.load(RECORDS, pin)
        bounds = thresholds(model)
        return Scoring(
            "records", kinds, pin, bounds.link_mbits, bounds.review_mbits, model.probability, card
        )
    devices = models.load(DEVICES, pin)
    # Before competition: a heavier pair is never less likely.
    weights = range(_FURTHEST_MBITS)
    link_mbits = bisect_left(weights, devices.clustering.threshold, key=devices.probability)
    return Scoring("devices", kinds, pin, link_mbits, link_mbits, devices.probability, card)


def released(
    settings: Settings,
    *,
    recipient: str = "",
    expires_us: int = 0,
    place: str = "",
    only: Collection[str] = (),
    tell: Tell = lambda _: None,
) -> Release:
    """A release of figures, all or `only` some, from a snapshot of now.

    It is made in a thread of its own, at low priority; `tell` is called there.

    Raises: SettingsError, StoreError, LettersError, LedgerError, RegisterError.
    """
    terms = Terms(
        settings.statistics.minimum, recipient, expires_us, policy_version(settings), place
    )
    with ThreadPoolExecutor(1, "figures", _give_way) as thread:
        return thread.submit(_released, settings, terms, only, tell).result()


def _released(settings: Settings, terms: Terms, only: Collection[str], tell: Tell) -> Release:
    policies = open_policies(settings)
    with (
        closing(open_snapshots(settings)) as snapshots,
        closing(open_register(settings)) as register,
        closing(open_vault(settings)) as vault,
    ):
        return take(
            snapshots,
            lambda: closing_letters(open_letters(settings)),
            policies,
            register,
            terms,
            now_us=now_us(),
            only=only,
            tell=tell,
            insight=insight(settings, vault),
        )


def _give_way() -> None:
    """Whatever takes signals in or answers on this machine comes first.

    Of this thread alone, and of those it starts: polars' workers, too, unless
    they were there before.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _STARTED_AT + NICE)
