"""After an erasure and a rotation no file anywhere holds a value of the person, raw or openable."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from identity.model import PersonId
from kinfold.generate.spec import CohortSpec
from kinfold.letters import open_letters
from kinfold.wiring import open_sealer, open_vault, open_view
from profiles.sealing import OVERHEAD_BYTES, Sealer, Unreadable
from profiles.vault import KeyDestroyed
from tests.support.cohort import lines, made
from tests.support.erasing import Home, home_at, record, signal
from tests.support.neo4j_graph import empty
from tests.support.scan import Scanner
from tests.support.servers import Neo4jServer, PulsarServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MARK = uuid4().hex[:10]
LOGIN = f"login:zoe.{MARK}@example.com"
VALUES = {
    ("login", f"zoe.{MARK}@example.com"),
    ("cookie", f"cookie-of-{MARK}"),
    ("name", f"Zoe Zimmer{MARK}"),
    ("item", f"a book on {MARK}"),
    ("city", f"Zurich{MARK}"),
}
_HEAD_BYTES = OVERHEAD_BYTES - 16


def zoes() -> list[dict[str, object]]:
    """What somebody did, in words that no one else uses."""
    bought = {
        "type": "BEHAVIOUR_TYPE_PURCHASE",
        "category": "books",
        "item": f"a book on {MARK}",
        "value": 9.0,
        "unit": "EUR",
    }
    return [
        signal(f"z1-{MARK}", LOGIN, f"cookie:cookie-of-{MARK}"),
        signal(f"z2-{MARK}", LOGIN, behaviour=bought),
        record(
            f"z3-{MARK}",
            LOGIN,
            fullName=f"Zoe Zimmer{MARK}",
            address={"city": f"Zurich{MARK}"},  # type: ignore[arg-type]
        ),
        {**signal(f"z4-{MARK}", LOGIN), "eventTime": "not a time"},
    ]


def sealed_of(home: Home, person: PersonId) -> list[bytes]:
    """Every sealed value that the graph, the view and the dead letters hold of somebody."""
    with home.store() as store:
        evidence = store.evidence([person])[person]
    found = [node.sealed for node in evidence.nodes if node.sealed]
    found += [kept.fact.payload for kept in evidence.facts if kept.fact.payload]
    settings = home.settings
    with closing(open_view(settings)) as view:
        stored = view.stored(person)
        found += [stored.sealed] if stored is not None and stored.sealed else []
    with closing(open_letters(settings)) as letters:
        found += [letter.sealed for letter in letters.all() if letter.form == "json"][:1]
    return [one for one in found if len(one) > OVERHEAD_BYTES]


def bodies(sealed: Iterable[bytes]) -> dict[bytes, bytes]:
    """By the nonce that a sealed value keeps through every rotation, how it goes on."""
    return {one[_HEAD_BYTES - 12 : _HEAD_BYTES]: one[_HEAD_BYTES:] for one in sealed}


def copies(nonces: Iterable[bytes], folders: Iterable[Path]) -> Iterator[bytes]:
    """The heads in front of these nonces, wherever one lies in any file."""
    pattern = re.compile(b"|".join(re.escape(nonce) for nonce in nonces))
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and file.stat().st_size:
                content = file.read_bytes()
                for found in pattern.finditer(content):
                    begin = found.start() - (_HEAD_BYTES - 12)
                    yield content[max(begin, 0) : found.end()]


def opens(head: bytes, body: bytes, sealer: Sealer) -> bool:
    """Whether a copy's data key can still be had."""
    try:
        sealer.rewrap(head + body)
    except (Unreadable, KeyDestroyed):
        return False
    return True


def check(home: Home, folders: Iterable[Path]) -> None:
    """Erase and rotate; then nothing of the person is left that anybody could read."""
    person = home.person(LOGIN)
    assert person is not None
    sealed = bodies(sealed_of(home, person))
    assert len(sealed) >= 4
    before = list(copies(sealed, folders))
    settings = home.settings
    with closing(open_vault(settings)) as vault:
        sealer = open_sealer(vault)
        assert any(opens(head, sealed[head[-12:]], sealer) for head in before)
    home.erase(LOGIN)
    home.does("keys", "rotate")
    with closing(open_vault(settings)) as vault:
        sealer = open_sealer(vault)
        left = [head for head in copies(sealed, folders) if opens(head, sealed[head[-12:]], sealer)]
    assert left == []
    # Others' values were wrapped anew, and go on being read.
    assert home.shown("login:ben@example.com") is not None


def test_the_embedded_parts_hold_nothing_of_the_erased(tmp_path: Path) -> None:
    """Graph, view, letters, ledger, audit log, keys and all that was printed."""
    home = home_at(tmp_path / "home", {})
    others = [line.rstrip() for line in lines(made(CohortSpec(people=20, days=3, seed=5))[0])]
    home.take(*others, signal("b", "login:ben@example.com"), *zoes())
    for file in tmp_path.glob("*.jsonl"):
        file.unlink()
    backup = tmp_path / "backup"
    shutil.copytree(home.deployment.folder, backup)
    # A backup of everything but the keys: what is in it is noise once they are gone.
    shutil.rmtree(backup / "keys")
    check(home, [home.deployment.folder, backup])
    assert Scanner(VALUES).scan(tmp_path) == []


@pytest.mark.servers
def test_real_servers_hold_nothing_of_the_erased(
    tmp_path: Path, empty_neo4j: Neo4jServer, pulsar_server: PulsarServer
) -> None:
    """Neo4j's stores and transaction logs, Pulsar's ledgers, every replica's view."""
    topics = f"persistent://public/default/dump-scan-{MARK}"
    home = home_at(
        tmp_path / "home",
        {
            "KINFOLD_GRAPH_URL": empty_neo4j.bolt_url,
            "KINFOLD_GRAPH_USER": empty_neo4j.user,
            "KINFOLD_GRAPH_PASSWORD": empty_neo4j.password,
            "KINFOLD_PULSAR_URL": pulsar_server.service_url,
            "KINFOLD_PULSAR_ADMIN_URL": pulsar_server.admin_url,
            "KINFOLD_PULSAR_TOPIC": topics + "-signals",
            "KINFOLD_PULSAR_FEED_TOPIC": topics + "-profiles",
            "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": topics + "-letters",
        },
    )
    home.take(signal("b", "login:ben@example.com"), *zoes())
    assert home.shown(LOGIN) is not None
    for file in tmp_path.glob("*.jsonl"):
        file.unlink()
    folders = [
        home.deployment.folder,
        empty_neo4j.process.folder,
        pulsar_server.process.folder,
    ]
    try:
        check(home, folders)
        empty_neo4j.process.stop()
        empty_neo4j.process.restart()
        for folder in folders:
            assert Scanner(VALUES).scan(folder) == []
    finally:
        with empty_neo4j.driver() as driver:
            empty(driver)
