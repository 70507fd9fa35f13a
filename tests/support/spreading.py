"""How `make test` spreads the tests over processes, so that real servers are started seldom."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
PULSAR_FIXTURES = ("pulsar_server", "mortal_pulsar", "forgetful_pulsar")
NEO4J_FIXTURES = ("neo4j_server", "empty_neo4j")
SERVER_FIXTURES = PULSAR_FIXTURES + NEO4J_FIXTURES


@cache
def group_of(file: str) -> str:
    """Which tests stay on one process: the files that ask for Pulsar, for Neo4j only, or one file.

    So no process has all that is slow, and each starts a Neo4j at most, one of them a Pulsar.
    """
    path = ROOT / file
    text = path.read_text("utf-8") if path.is_file() else ""
    if any(name in text for name in PULSAR_FIXTURES):
        return "pulsar"
    return "neo4j" if any(name in text for name in NEO4J_FIXTURES) else file


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist's schedulers are untyped for mypy
    """Gives processes whole groups, in the order in which tests were collected."""

    def __init__(self, config: Any, log: Any = None) -> None:
        # Reordered by how many tests a group has, one long test would come last.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])
