"""The requests of people about their data that this home holds."""

from __future__ import annotations

from contextlib import closing

from kinfold.settings import Settings
from kinfold.wiring import made_home, open_sealer
from profiles.requests_sqlite import SqliteRequests
from profiles.vault import KeyVault

_FILE = "requests.sqlite3"


def open_requests(settings: Settings, vault: KeyVault) -> SqliteRequests:
    """The store of requests in the home folder; made at first use. Threads may share it.

    Raises: RequestsError.
    """
    return SqliteRequests(made_home(settings) / _FILE, open_sealer(vault))


def expire_packages(settings: Settings, vault: KeyVault, now_us: int) -> int:
    """Destroy the kept halves of keys of packages whose time is over; how many.

    Raises: RequestsError.
    """
    if not (settings.home_dir / _FILE).exists():
        return 0
    with closing(open_requests(settings, vault)) as requests:
        return requests.expire(now_us)
