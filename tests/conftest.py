"""What every test may ask for: rewritten asserts in the contract suites, and real servers.

`make test` spreads the tests over two processes (`tests.support.spreading`).
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.support.jars import ServersUnavailable
from tests.support.servers import (
    FORGETFUL,
    Neo4jServer,
    PulsarServer,
    running_neo4j,
    running_pulsar,
)
from tests.support.spreading import SERVER_FIXTURES, ByGroup

Server = TypeVar("Server")
WORKER = "PYTEST_XDIST_WORKER"
"""Set in the processes that share the tests."""

# A machine that others share too is slow now and then; no example is wrong for that.
settings.register_profile("kinfold", deadline=None)
settings.load_profile("kinfold")

# Without this a failing contract prints a bare AssertionError: its module is not a test file.
for _contract in sorted((Path(__file__).parent / "contracts").glob("*.py")):
    pytest.register_assert_rewrite(f"tests.contracts.{_contract.stem}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever asks for a real server, so that `-m "not servers"` leaves it out."""
    for item in items:
        if set(SERVER_FIXTURES).intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)
    if WORKER in os.environ:
        # What takes longest begins first, so that no process is left with it alone at the end.
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: (not item.get_closest_marker("servers"), item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup:
    """Tests that share something stay on one process."""
    return ByGroup(config, log)


@pytest.fixture(autouse=True)
def share_of_the_machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A test marked `alone` waits until no other process runs a test, and none begins beside it."""
    if WORKER not in os.environ:
        yield
        return
    alone = request.node.get_closest_marker("alone") is not None
    with (tmp_path_factory.getbasetemp().parent / "machine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def pulsar_server() -> Iterator[PulsarServer]:
    """A real Pulsar, one for the whole session: use topic names of your own."""
    with _server("pulsar", running_pulsar) as server:
        yield server


@pytest.fixture
def mortal_pulsar() -> Iterator[PulsarServer]:
    """A real Pulsar for one test that kills it.

    A standalone broker started again after kill -9 may fight over the lock of
    its own bookie for the rest of its life, which no other test should suffer.
    """
    with _server("pulsar", running_pulsar) as server:
        yield server


@pytest.fixture
def forgetful_pulsar() -> Iterator[PulsarServer]:
    """A real Pulsar for one test, which soon drops from its files what its topics forget."""
    with _server("pulsar", partial(running_pulsar, more=FORGETFUL)) as server:
        yield server


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator[Neo4jServer]:
    """A real Neo4j, one for the whole session, with whatever the last test left in it."""
    with _server("neo4j", running_neo4j) as server:
        yield server


@pytest.fixture
def empty_neo4j(neo4j_server: Neo4jServer) -> Neo4jServer:
    """The session's Neo4j with nothing in it."""
    neo4j_server.wipe()
    return neo4j_server


@contextmanager
def _server(
    name: str, running: Callable[[Path], AbstractContextManager[Server]]
) -> Iterator[Server]:
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix=f"kinfold-{name}-"))
        try:
            server = held.enter_context(running(Path(folder)))
        except ServersUnavailable as missing:
            reason = f"no {name}: {missing}; with a network, this fetches it: make servers"
            # Where the checks run, a test that did not run must not look like one that passed.
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield server
