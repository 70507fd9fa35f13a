"""The numbered steps from an empty database to the present one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from identity.engines.neo4j.connection import Connection, Tx
from identity.store import StoreDamaged, StoreUnavailable


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; its statements may be run any number of times.

    `schema` statements run in transactions of their own, then all of `data` in one.
    """

    number: int
    name: str
    schema: Sequence[str] = ()
    data: Sequence[str] = ()


def _unique(label: str, property_name: str) -> str:
    name = f"{label.lower()}_{property_name}"
    return (
        f"CREATE CONSTRAINT {name} IF NOT EXISTS "
        f"FOR (n:{label}) REQUIRE n.{property_name} IS UNIQUE"
    )


def _index(label: str, property_name: str) -> str:
    name = f"{label.lower()}_{property_name}"
    return f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{label}) ON (n.{property_name})"


PATIENCE_S = 300.0
PAUSE_S = 0.05
_POPULATING = (
    "SHOW INDEXES YIELD name, state WHERE state = 'POPULATING' RETURN collect(name) AS names"
)
MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        "keys are unique",
        schema=(
            _unique("Migration", "number"),
            _unique("Identifier", "key"),
            _unique("Record", "key"),
            _unique("Signal", "id"),
            _unique("Person", "id"),
            _unique("Checkpoint", "partition"),
            _unique("Horizon", "kind"),
            _unique("Lease", "name"),
            _unique("Graph", "name"),
        ),
    ),
    Migration(
        2,
        "decisions are found by their ends, signals by day",
        schema=(
            _index("Decision", "left"),
            _index("Decision", "right"),
            _index("Signal", "seen"),
        ),
    ),
    Migration(
        3,
        "one lease to resolve, one node to lock the whole graph by",
        data=(
            "MERGE (:Graph {name: 'kinfold'})",
            (
                "MERGE (l:Lease {name: 'resolver'}) "
                "ON CREATE SET l.owner = '', l.epoch = 0, l.until_ms = 0, l.resolutions = 0"
            ),
        ),
    ),
    Migration(4, "blocks of matching are found by key", schema=(_unique("Block", "key"),)),
    Migration(
        5,
        "fences are found by the node, and those that are new",
        schema=(_unique("Fence", "key"), _index("Fence", "change")),
    ),
    Migration(6, "cutoffs are found by name", schema=(_unique("Cutoff", "name"),)),
)


def migrate(connection: Connection) -> None:
    """Bring the database to the present; safe with several programs at once.

    Raises:
        StoreDamaged: a later version has migrated it further.
    """
    done = set(connection.read(_numbers))
    if done - {migration.number for migration in MIGRATIONS}:
        raise StoreDamaged("the graph was migrated by a later version of kinfold")
    for migration in MIGRATIONS:
        if migration.number not in done:
            _carry_out(connection, migration)


def _await_indexes(connection: Connection) -> None:
    """Wait until indexes can be used, in transactions that end at once.

    One that waited itself (`db.awaitIndexes`) would hold up a constraint that
    another program is making, for whose index it waits.
    """
    until_s = time.monotonic() + PATIENCE_S
    while populating := connection.read(lambda tx: tx.rows(_POPULATING)):
        if time.monotonic() > until_s:
            names = ", ".join(sorted(populating))
            raise StoreUnavailable(f"the graph store goes on building its indexes: {names}")
        time.sleep(PAUSE_S)


def _numbers(tx: Tx) -> list[int]:
    return tx.rows("MATCH (m:Migration) RETURN collect(m.number)")


def _carry_out(connection: Connection, migration: Migration) -> None:
    for statement in migration.schema:
        connection.schema(statement)
    _await_indexes(connection)

    def write(tx: Tx) -> None:
        for statement in migration.data:
            tx.run(statement)
        tx.run(
            "MERGE (m:Migration {number: $number}) "
            "ON CREATE SET m.name = $name, m.applied_at = datetime()",
            number=migration.number,
            name=migration.name,
        )

    connection.write(write)
