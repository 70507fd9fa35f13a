"""How `make test` spreads the tests over processes, so that each real server is started once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
SERVER_FIXTURES = (
    "pulsar_server", "mortal_pulsar", "forgetful_pulsar", "neo4j_server", "empty_neo4j",
)  # fmt: skip
SERVERS = "servers"


@cache
def group_of(file: str) -> str:
    """Which tests stay on one process: all of the files that ask for a real server, or one file."""
    path = ROOT / file
    if not path.is_file():
        return file
    text = path.read_text("utf-8")
    return SERVERS if any(name in text for name in SERVER_FIXTURES) else file


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist's schedulers are untyped for mypy
    """Gives processes whole groups, in the order in which tests were collected."""

    def __init__(self, config: Any, log: Any = None) -> None:
        # Reordered by how many tests a group has, one long test would come last.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])
