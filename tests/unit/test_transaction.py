"""A transaction leaves all of its body or nothing, and never itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.engines.sqlite.transaction import transaction


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file with one table."""
    made = sqlite3.connect(tmp_path / "file", isolation_level=None, timeout=0.05)
    made.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY)")
    yield made
    made.close()


def kept(sql: sqlite3.Connection) -> list[int]:
    """What is in the table."""
    return [number for (number,) in sql.execute("SELECT number FROM kept ORDER BY number")]


def test_a_body_that_fails_leaves_nothing(sql: sqlite3.Connection) -> None:
    """What it raises comes out, and what it wrote is gone."""
    with transaction(sql):
        sql.execute("INSERT INTO kept VALUES (1)")

    def fails() -> None:
        with transaction(sql):
            sql.execute("INSERT INTO kept VALUES (2)")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert kept(sql) == [1]
    assert not sql.in_transaction


def test_what_was_rolled_back_already_fails_with_its_own_reason(sql: sqlite3.Connection) -> None:
    """Where SQLite itself ended the transaction, the reason is not hidden by a second failure."""

    def fails() -> None:
        with transaction(sql):
            sql.execute("INSERT INTO kept VALUES (1)")
            sql.execute("INSERT OR ROLLBACK INTO kept VALUES (1)")

    with pytest.raises(sqlite3.IntegrityError):
        fails()
    assert kept(sql) == []


def test_a_commit_that_fails_leaves_no_transaction_open(
    sql: sqlite3.Connection, tmp_path: Path
) -> None:
    """While somebody else reads, a commit is refused; the next transaction begins all the same."""
    other = sqlite3.connect(tmp_path / "file", isolation_level=None)
    sql.execute("INSERT INTO kept VALUES (1)")
    other.execute("BEGIN")
    assert kept(other) == [1]
    with pytest.raises(sqlite3.OperationalError), transaction(sql):
        sql.execute("INSERT INTO kept VALUES (2)")
    assert not sql.in_transaction
    other.execute("COMMIT")
    other.close()
    with transaction(sql):
        sql.execute("INSERT INTO kept VALUES (3)")
    assert kept(sql) == [1, 3]
