"""The requests of people about their data that this home holds."""

from __future__ import annotations

from kinfold.settings import Settings
from kinfold.wiring import made_home, open_sealer
from profiles.requests_sqlite import SqliteRequests
from profiles.vault import KeyVault


def open_requests(settings: Settings, vault: KeyVault) -> SqliteRequests:
    """The store of requests in the home folder; made at first use. Threads may share it.

    Raises: RequestsError.
    """
    return SqliteRequests(made_home(settings) / "requests.sqlite3", open_sealer(vault))
