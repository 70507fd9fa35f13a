"""Put back from before an erasure, nothing shows who was erased: embedded, and on real servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from identity.model import PersonId
from kinfold.restoring import apply_ledger, brought_up
from kinfold.rotating import is_under_way
from kinfold.wiring import open_policies, open_sealer, open_store, open_vault, open_view
from profiles.build import context_of
from profiles.vault import KeyDestroyed
from tests.support.ann_and_ben import ALL_OF_ANN, ANN, BEN, anns, assert_gone, bens, home_on
from tests.support.erasing import Home, home_at, now, signal
from tests.support.servers import Neo4jServer

pytestmark = pytest.mark.timeout(600)
SERVERS = pytest.param("servers", marks=[pytest.mark.servers, pytest.mark.slow])
CLEO = "login:cleo@example.com"


@dataclass(frozen=True)
class Backups:
    """Copies of parts of a home: `graph`, and `view` and `keys`, which are folders of the home.

    A graph's server is held in mid-air while its files are copied, as a snapshot of its disk
    is taken, and is started anew on those that are put back.
    """

    home: Home
    graph: Neo4jServer | None
    copies: dict[str, list[tuple[Path, Path]]] = field(default_factory=dict)

    def take(self, *parts: str) -> None:
        """Copy these parts as they are."""
        for part in parts:
            kept = self.home.deployment.folder.with_name(f"old-{part}")
            self.copies[part] = [(one, kept / one.name) for one in self._files(part)]
            with self._held(part):
                _copy(self.copies[part])

    def put_back(self, *parts: str) -> None:
        """Put them back, in place of all that has become of them since."""
        for part in parts:
            with self._stopped(part):
                for one in self._files(part):
                    _remove(one)
                _copy([(kept, one) for one, kept in self.copies[part]])

    def _files(self, part: str) -> list[Path]:
        folder = self.home.deployment.folder
        if part != "graph":
            return [folder / part]
        if self.graph is not None:
            return [self.graph.process.folder / "data"]
        return sorted(folder.glob("graph.sqlite3*"))

    @contextmanager
    def _held(self, part: str) -> Iterator[None]:
        if part != "graph" or self.graph is None:
            yield
            return
        os.kill(self.graph.process.pid, SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.graph.process.pid, SIGCONT)

    @contextmanager
    def _stopped(self, part: str) -> Iterator[None]:
        if part != "graph" or self.graph is None:
            yield
            return
        self.graph.process.kill()
        try:
            yield
        finally:
            self.graph.process.start()


def _copy(pairs: list[tuple[Path, Path]]) -> None:
    for one, other in pairs:
        other.parent.mkdir(parents=True, exist_ok=True)
        if one.is_dir():
            shutil.copytree(one, other)
        else:
            shutil.copy2(one, other)


def _remove(one: Path) -> None:
    if one.is_dir():
        shutil.rmtree(one)
    else:
        one.unlink()


@pytest.fixture(params=["embedded", SERVERS])
def backups(request: pytest.FixtureRequest, tmp_path: Path) -> Backups:
    """Backups of a home in which nobody is known yet, embedded or on the real servers."""
    if request.param == "embedded":
        return Backups(home_at(tmp_path / "home", {}), None)
    graph, broker = (request.getfixturevalue(name) for name in ("empty_neo4j", "pulsar_server"))
    return Backups(home_on(tmp_path / "home", graph, broker), graph)


@pytest.fixture
def home(backups: Backups) -> Home:
    """That home."""
    return backups.home


def from_the_view(home: Home, named: str) -> PersonId | None:
    """Whom the view leads to as it is, before it hears of anything."""
    with closing(open_view(home.settings)) as view:
        return view.person_of(home.key(named))


def rotates(home: Home) -> bool:
    """Whether a rotation of keys was begun that is not at its end."""
    with closing(open_vault(home.settings)) as vault:
        return is_under_way(vault)


def see_rotation_through(home: Home) -> None:
    """Until views follow another topic, where one is being filled for them."""
    if rotates(home):
        home.does("keys", "rotate")


def test_backup_restored(home: Home, backups: Backups) -> None:
    """Graph and view put back from before the erasure show nothing of the person when served; of
    others they go on from there.
    """
    home.take(*anns(), *bens())
    assert home.shown(ANN) is not None
    backups.take("graph", "view")
    home.erase(ANN)
    backups.put_back("graph", "view")
    assert home.person(ANN) is not None
    assert from_the_view(home, ANN) is not None
    home.take(signal(20, BEN, "cookie:ben-phone"), signal(21, ANN, "cookie:ann-tablet"))
    assert_gone(home, *ALL_OF_ANN, "cookie:ann-tablet")
    assert home.shown(BEN) is not None
    # The graph counts its resolutions from where it was: views begin anew to heed them.
    see_rotation_through(home)
    assert_gone(home, *ALL_OF_ANN, "cookie:ann-tablet")
    assert home.shown("cookie:ben-phone") == home.shown(BEN) == home.person(BEN)


def test_view_restored(home: Home, backups: Backups) -> None:
    """A view alone put back from before shows nobody who was erased once it answers."""
    home.take(*anns(), *bens())
    assert home.shown(ANN) is not None
    backups.take("view")
    home.erase(ANN)
    backups.put_back("view")
    assert from_the_view(home, ANN) is not None
    if not home.settings.pulsar.url:
        # A replica follows the topic from where it was; here nothing else fills it.
        home.take(signal(20, BEN))
    assert_gone(home, *ALL_OF_ANN)
    assert home.shown(BEN) == home.person(BEN) is not None


def test_view_restored_is_what_serves(home: Home, backups: Backups) -> None:
    """A server clears such a view before it serves, and leaves what waits to be published to
    whoever publishes it: other replicas hear of it.
    """
    home.take(*anns(), *bens())
    assert home.shown(ANN) is not None
    backups.take("view")
    home.erase(ANN)
    backups.put_back("view")
    with home.consumer() as take:
        take(signal(20, BEN, "cookie:ben-phone"))
    settings = home.settings
    with closing(open_vault(settings)) as vault, closing(open_view(settings)) as view:
        brought_up(settings, open_policies(settings), vault, view)
        assert view.person_of(home.key(ANN)) is None
    home.settle()
    assert_gone(home, *ALL_OF_ANN)
    assert home.shown("cookie:ben-phone") == home.shown(BEN) == home.person(BEN) is not None
    if settings.pulsar.url:
        shutil.rmtree(home.deployment.folder / "view")
        assert home.shown("cookie:ben-phone") == home.person(BEN)


def test_graph_without_its_fences_is_brought_up(home: Home) -> None:
    """A graph that lacks fences of the ledger, as one put back does, gets them and is swept;
    views begin anew, whoever is the first to start.
    """
    path = home.take(*anns(), *bens())
    home.erase(ANN)
    settings = home.settings
    policies = open_policies(settings)
    lifted = dict.fromkeys(map(home.key, ALL_OF_ANN), 0)
    with (
        closing(open_vault(settings)) as vault,
        closing(open_store(settings)) as store,
        closing(open_view(settings)) as view,
    ):
        store.lift(lifted)
        assert apply_ledger(settings, policies, vault, store, view).fences == len(ALL_OF_ANN)
        assert apply_ledger(settings, policies, vault, store, view).fences == 0
    assert rotates(home) is bool(settings.pulsar.url)
    home.does("ingest", "--replay", str(path))
    assert_gone(home, *ALL_OF_ANN)


def test_old_key_store_restored(home: Home, backups: Backups) -> None:
    """Keys put back from before an erasure and a rotation open nothing of who was erased; others
    are served with what is not sealed, and new signals count.
    """
    home.take(*anns(), *bens())
    kept = sealed_of(home, ANN)
    assert opens(home, *kept)
    backups.take("keys")
    home.erase(ANN)
    home.does("keys", "rotate")
    with closing(open_vault(home.settings)) as vault:
        lost_epoch = vault.current_epoch()
    backups.put_back("keys")
    home.take(signal(20, CLEO, at=now()))
    with closing(open_vault(home.settings)) as vault:
        assert vault.current_epoch() > lost_epoch
    see_rotation_through(home)
    with pytest.raises(KeyDestroyed):
        opens(home, *kept)
    assert_gone(home, *ALL_OF_ANN)
    for one in (BEN, CLEO):
        assert home.shown(one) == home.person(one) is not None
        home.does("get", one, "--local", "--for", "service")


def sealed_of(home: Home, named: str) -> tuple[bytes, bytes]:
    """Somebody's stored profile, and what it is sealed for."""
    home.shown(named)
    person = home.person(named)
    assert person is not None
    with closing(open_view(home.settings)) as view:
        stored = view.stored(person)
    assert stored is not None
    return stored.sealed, context_of(person, stored.layout)


def opens(home: Home, sealed: bytes, context: bytes) -> bytes:
    """What was sealed, by the keys that are here."""
    with closing(open_vault(home.settings)) as vault:
        return open_sealer(vault).open(sealed, context)
