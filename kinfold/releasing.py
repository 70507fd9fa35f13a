"""Snapshots, the register and releases from settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from identity.snapshot import Snapshots
from kinfold.auditing import log_export
from kinfold.letters import open_letters
from kinfold.register import Register
from kinfold.settings import Settings
from kinfold.statistics.exporting import Release, Terms, closing_letters, take
from kinfold.wiring import made_home, now_us, open_policies, open_store, store_password

Tell = Callable[[str], None]


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
    """The register of exports in the home folder; every one is in the audit log, too.

    Raises: RegisterError.
    """
    return Register(
        made_home(settings) / "register.sqlite3",
        lambda number, export: log_export(settings, number, export),
    )


def policy_version(settings: Settings) -> str:
    """The first 12 digits of SHA-256 over the policy's text."""
    if settings.home.policy:
        text = Path(settings.home.policy).read_bytes()
    else:
        text = files("kinfold").joinpath("default_policy.toml").read_bytes()
    return hashlib.sha256(text).hexdigest()[:12]


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

    Raises: SettingsError, StoreError, LettersError, RegisterError.
    """
    policies = open_policies(settings)
    terms = Terms(
        settings.statistics.minimum, recipient, expires_us, policy_version(settings), place
    )
    with (
        closing(open_snapshots(settings)) as snapshots,
        closing(open_register(settings)) as register,
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
        )
