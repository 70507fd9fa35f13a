"""A transaction of a connection that leaves beginning and ending to its user."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Access = Literal["IMMEDIATE", "DEFERRED"]
"""IMMEDIATE to write, DEFERRED to read from one moment."""


@contextmanager
def transaction(sql: sqlite3.Connection, kind: Access = "IMMEDIATE") -> Iterator[None]:
    """All of the body or nothing.

    The connection was made with `isolation_level=None`.

    Raises:
        sqlite3.Error: it could not begin or commit; then nothing is left open.
    """
    sql.execute("BEGIN " + kind)
    try:
        yield
        sql.execute("COMMIT")
    except BaseException:
        # A full disk, for one, rolls back by itself.
        if sql.in_transaction:
            with suppress(sqlite3.Error):
                sql.execute("ROLLBACK")
        raise
