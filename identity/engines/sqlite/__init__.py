"""The embedded engine of the graph store: one SQLite file, durable, for one machine."""

from identity.engines.sqlite.store import SqliteGraphStore

__all__ = ["SqliteGraphStore"]
