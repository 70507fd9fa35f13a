"""Opening a SQLite file that others are opening: a lock that no timeout of the driver waits for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

_PAUSE_S = 0.01


def patiently(sql: sqlite3.Connection, work: Callable[[], None], wait_s: float) -> None:
    """Do the work, again and again while the file is busy; what it left undone is undone.

    Changing the journal's mode fails at once while somebody else does the
    same, whatever the connection's timeout.

    Raises:
        sqlite3.OperationalError: it stayed busy for `wait_s`.
    """
    give_up_s = time.monotonic() + wait_s
    while True:
        try:
            return work()
        except sqlite3.OperationalError:
            if sql.in_transaction:
                sql.execute("ROLLBACK")
            if time.monotonic() > give_up_s:
                raise
            time.sleep(_PAUSE_S)
