"""One driver, its transactions, and what becomes of its errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from neo4j import READ_ACCESS, WRITE_ACCESS, GraphDatabase, Session, Transaction
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConstraintError,
    DriverError,
    Neo4jError,
)

from identity.engines.neo4j.places import Places
from identity.store import StoreError, StoreUnavailable

T = TypeVar("T")
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 1.0
_MADE_OR_DELETED_MEANWHILE = frozenset(
    {
        "Neo.ClientError.Statement.EntityNotFound",
        # Even where a statement says IF NOT EXISTS, when several programs start at once.
        "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists",
        "Neo.ClientError.Schema.ConstraintAlreadyExists",
        "Neo.ClientError.Schema.IndexAlreadyExists",
    }
)


class Tx:
    """A transaction whose queries answer with one record, or with nothing.

    Answers come as collected lists in a single record: a record each costs the
    driver about four times as much. `places` lasts longer than the transaction.
    """

    def __init__(self, transaction: Transaction, places: Places) -> None:
        self._transaction = transaction
        self.places = places

    def row(self, text: str, /, **parameters: Any) -> tuple[Any, ...]:
        """The values of the only record."""
        result = self._transaction.run(text, parameters)
        record = result.single(strict=True)
        return tuple(record.values())

    def rows(self, text: str, /, **parameters: Any) -> list[Any]:
        """The list in the only value of the only record."""
        (found,) = self.row(text, **parameters)
        return cast(list[Any], found)

    def stream(self, text: str, /, **parameters: Any) -> Iterator[tuple[Any, ...]]:
        """The values of record after record, for what may be too much to hold."""
        for record in self._transaction.run(text, parameters):
            yield tuple(record.values())

    def run(self, text: str, /, **parameters: Any) -> None:
        """Do it and answer with nothing."""
        self._transaction.run(text, parameters).consume()


class Connection:
    """Transactions on one database, tried again while what stops them is transient.

    After `patience_s` it gives up with `StoreUnavailable`. No text of the
    driver or the server reaches the caller, for it may quote what was written.
    """

    def __init__(
        self, uri: str, auth: tuple[str, str] | None, database: str, patience_s: float
    ) -> None:
        try:
            self._driver = GraphDatabase.driver(
                uri,
                auth=auth,
                connection_timeout=5.0,
                connection_acquisition_timeout=10.0,
                # Ids of nodes inside a transaction are what `id()` gives: elementId()
                # is a string of 40 characters, and the server warns of the former each time.
                notifications_min_severity="OFF",
            )
        except (ConfigurationError, ValueError):
            raise StoreUnavailable("the address of the graph store is not understood") from None
        self._database = database
        self._patience_s = patience_s
        self._places = Places()

    def close(self) -> None:
        """Close every connection."""
        self._driver.close()

    def write(self, work: Callable[[Tx], T]) -> T:
        """What `work` returns once all it wrote is committed. It may be called several times.

        A commit whose answer got lost may have happened: work that must not
        happen twice finds that out from what it reads.
        """
        return self._try(lambda: self._once(work, WRITE_ACCESS))

    def read(self, work: Callable[[Tx], T]) -> T:
        """What `work` returns. It may be called several times."""
        return self._try(lambda: self._once(work, READ_ACCESS))

    @contextmanager
    def held(self) -> Iterator[Tx]:
        """A transaction for as long as the context lasts, undone at its end. It is not tried again.

        Waits for locks as long as the server does.
        """
        try:
            with self._session(WRITE_ACCESS) as session, session.begin_transaction() as transaction:
                yield Tx(transaction, self._places)
                transaction.rollback()
        except (Neo4jError, DriverError) as error:
            if _is_transient(error):
                raise StoreUnavailable("the graph store went out of reach") from None
            raise _told(error) from None

    def schema(self, statement: str) -> None:
        """Change the schema in a transaction of its own."""

        def change() -> None:
            with self._session(WRITE_ACCESS) as session:
                session.run(statement).consume()

        self._try(change)

    def _session(self, access: str) -> Session:
        return self._driver.session(database=self._database, default_access_mode=access)

    def _once(self, work: Callable[[Tx], T], access: str) -> T:
        with self._session(access) as session, session.begin_transaction() as transaction:
            result = work(Tx(transaction, self._places))
            transaction.commit()
            self._places.trim()
            return result

    def _try(self, attempt: Callable[[], T]) -> T:
        give_up_s = time.monotonic() + self._patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return attempt()
            except (Neo4jError, DriverError) as error:
                if not _is_transient(error):
                    raise _told(error) from None
                if time.monotonic() + pause_s > give_up_s:
                    raise StoreUnavailable(
                        f"the graph store stayed out of reach or busy for {self._patience_s:g} s"
                    ) from None
            except OSError:
                raise StoreUnavailable("the graph store cannot be reached") from None
            self._places.clear()
            time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries out
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _is_transient(error: Neo4jError | DriverError) -> bool:
    # Of two transactions that create the same thing the later one fails, and finds it next time.
    # Likewise one that waited for the lock of a node which the other then deleted.
    if isinstance(error, ConstraintError):
        return True
    if isinstance(error, Neo4jError) and error.code in _MADE_OR_DELETED_MEANWHILE:
        return True
    return error.is_retryable()


def _told(error: Neo4jError | DriverError) -> StoreError:
    if isinstance(error, AuthError):
        return StoreUnavailable("the graph store refuses these credentials")
    code = error.code if isinstance(error, Neo4jError) else type(error).__name__
    return StoreError(f"the graph store refused: {code}")
