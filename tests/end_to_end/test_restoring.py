"""A home put back from a backup: whichever verb comes first, who was erased stays away."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from kinfold.cli import BRINGS_UP, VERBS
from kinfold.letters import open_letters
from kinfold.restoring import brought_up
from kinfold.wiring import open_policies, open_vault
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.erasing import home_at
from tests.support.servers import PulsarServer

ANN, BEN = "login:ann", "login:ben"
LETTER_OF_ANN = {**login(3, ("login", "ann")), "eventTime": "yesterday"}
LETTER_OF_BEN = {**login(4, ("login", "ben")), "eventTime": "yesterday"}
FIRST = (
    ("get", ANN, "--local", "--for", "service"),
    ("consent", "show", ANN),
    ("explain", ANN, "email:ann@posteo.net"),
    ("lineage", ANN),
    ("export", "graph", "--out", "graph", "--recipient", "lab", "--expires", "2099-01-31"),
    ("privacy", "submit", "r-2", "--kind", "access", "--of", ANN, "--staff", "desk"),
)
READS_LETTERS = (
    ("ingest", "-"),
    ("get", BEN, "--local", "--for", "service"),
    ("dead-letters",),
)
NOBODY = {"get", "consent", "explain", "lineage"}
"""Verbs that fail when nobody is known; the others have Ben, or take in what is asked."""
OPENS_ITSELF = {"ingest", "run", "serve"}
READS_NOBODY = {"demo", "generate", "evaluate", "audit", "doctor"}


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A home with Ann, who was erased, and Ben, and a dead letter of his; a backup of it in
    `backup` from when Ann was there, and a letter of hers.
    """
    line = CommandLine(tmp_path)
    ann = login(1, ("login", "ann"), ("email", "ann@posteo.net"))
    ben = login(2, ("login", "ben"))
    line.does("ingest", "-", given=as_lines(ann, ben, LETTER_OF_ANN, LETTER_OF_BEN))
    submit = ("--kind", "erasure", "--of", ANN, "--level", "authenticated", "--staff", "desk")
    line.does("privacy", "submit", "r-1", *submit)
    access = ("--kind", "access", "--of", BEN, "--level", "authenticated", "--staff", "desk")
    line.does("privacy", "submit", "r-0", *access)
    line.does("privacy", "withdraw", "r-0", "--staff", "desk")
    shutil.copytree(tmp_path / ".kinfold", tmp_path / "backup")
    assert len(letters(line)) == 2
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "run", "r-1", "--staff", "desk")
    assert len(letters(line)) == 1
    return line


def letters(line: CommandLine) -> list[str]:
    """The ids of the dead letters there are, as they are in the file."""
    with closing(sqlite3.connect(line.folder / ".kinfold" / "dead_letters.sqlite3")) as file:
        return [name for (name,) in file.execute("SELECT id FROM letters ORDER BY received_us")]


def put_back(line: CommandLine, *names: str) -> None:
    """Put these parts of the home back from the backup."""
    home = line.folder / ".kinfold"
    for name in names:
        for part in home.glob(name + "*"):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        for part in (line.folder / "backup").glob(name + "*"):
            copy = shutil.copytree if part.is_dir() else shutil.copy2
            copy(part, home / part.name)


def test_every_verb_is_told_of() -> None:
    """A verb either brings a home up, opens it brought up, or reads nobody's data."""
    assert set(VERBS) == BRINGS_UP | OPENS_ITSELF | READS_NOBODY
    assert not BRINGS_UP & (OPENS_ITSELF | READS_NOBODY)


@pytest.mark.parametrize("first", FIRST, ids=lambda first: first[0])
def test_backup_restored_and_read_first(line: CommandLine, first: tuple[str, ...]) -> None:
    """Whichever verb is the first, it meets nobody who was erased."""
    put_back(line, "graph.sqlite3", "view")
    ran = line.run(*first)
    assert ran.code == (1 if first[0] in NOBODY else 0), ran
    assert "email" not in ran.out, "Ann's, whom nobody knows"
    assert "PROFILE_NOT_FOUND" in line.fails(1, "get", ANN, "--local").err
    line.does("get", BEN, "--local", "--for", "service")
    if first[0] == "export":
        everything = b"".join(
            file.read_bytes() for file in (line.folder / "graph").rglob("*") if file.is_file()
        )
        assert b"email" not in everything, "Ben has none"
        assert b"login" in everything


def test_home_restored_from_before_a_rotation(line: CommandLine) -> None:
    """All but the ledger put back from before keys rotated: Ben is found, Ann is not, it starts."""
    line.does("keys", "rotate")
    put_back(line, "graph.sqlite3", "view", "keys", "requests.sqlite3", "dead_letters.sqlite3")
    assert "PROFILE_NOT_FOUND" in line.fails(1, "get", ANN, "--local").err
    line.does("get", BEN, "--local", "--for", "service")
    line.does("ingest", "-", given=as_lines(login(3, ("login", "cleo"))))
    lost = line.fails(1, "privacy", "show", "r-1", "--staff", "desk")
    assert "its key is destroyed; put back a store of requests from after" in lost.err
    line.does("keys", "rotate")


def test_view_restored_from_before_a_rotation(line: CommandLine) -> None:
    """Profiles that no key opens any more are made anew, so nobody is missing."""
    shutil.rmtree(line.folder / "backup")
    shutil.copytree(line.folder / ".kinfold", line.folder / "backup")
    line.does("keys", "rotate")
    put_back(line, "view")
    line.does("get", BEN, "--local", "--for", "service")


@pytest.mark.parametrize("first", READS_LETTERS, ids=lambda first: first[0])
def test_dead_letters_restored(line: CommandLine, first: tuple[str, ...]) -> None:
    """Whichever verb is the first, nobody's letters come back with a file of them, others' do."""
    kept = letters(line)
    put_back(line, "dead_letters.sqlite3")
    (back,) = set(letters(line)) - set(kept)
    line.does(*first)
    assert letters(line) == kept
    assert "no such letter" in line.fails(1, "dead-letters", "--show", back).err
    assert '"ben"' in line.does("dead-letters", "--show", *kept).out


def test_dead_letters_from_after_an_erasure_stay(line: CommandLine) -> None:
    """Who comes back is someone new: of several erasures each holds up to when it was."""
    line.does("ingest", "-", given=as_lines(LETTER_OF_ANN, login(5, ("login", "cleo"))))
    kept = letters(line)
    assert len(kept) == 2
    submit = ("--kind", "erasure", "--of", "login:cleo", "--level", "authenticated")
    line.does("privacy", "submit", "r-2", *submit, "--staff", "desk")
    line.does("privacy", "approve", "r-2", "--staff", "dpo")
    line.does("privacy", "run", "r-2", "--staff", "desk")
    line.does("get", BEN, "--local", "--for", "service")
    assert letters(line) == kept


def test_dead_letters_are_looked_through_once_an_erasure(line: CommandLine) -> None:
    """A start after which nobody was erased, and nothing put back, reads none of them again."""
    kept = letters(line)
    line.does("get", BEN, "--local", "--for", "service")
    # Slipped in past all that puts letters back, it shows that nobody looks.
    file, backup = line.folder / ".kinfold" / "dead_letters.sqlite3", line.folder / "backup"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("ATTACH ? AS old", (str(backup / "dead_letters.sqlite3"),))
        db.execute("INSERT OR IGNORE INTO letters SELECT * FROM old.letters")
    line.does("get", BEN, "--local", "--for", "service")
    assert len(letters(line)) == len(kept) + 1
    put_back(line, "dead_letters.sqlite3")
    line.does("get", BEN, "--local", "--for", "service")
    assert letters(line) == kept


def test_letters_out_of_reach_hold_nobody_up(line: CommandLine) -> None:
    """A topic of letters that cannot be reached is left to the next start: nobody reads it now."""
    unreached = {
        "KINFOLD_PULSAR_URL": "pulsar://127.0.0.1:1",
        "KINFOLD_PULSAR_ADMIN_URL": "http://127.0.0.1:1",
    }
    CommandLine(line.folder, unreached).does("consent", "show", BEN)


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_topic_of_dead_letters_put_back(tmp_path: Path, pulsar_server: PulsarServer) -> None:
    """Letters that are back in a topic, with what had been applied to it then, go again."""
    topics = f"persistent://public/default/restoring-{uuid4().hex}"
    more = {
        "KINFOLD_PULSAR_URL": pulsar_server.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": pulsar_server.admin_url,
        "KINFOLD_PULSAR_TOPIC": topics + "-signals",
        "KINFOLD_PULSAR_FEED_TOPIC": topics + "-profiles",
        "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": topics + "-letters",
    }
    home = home_at(tmp_path / "home", more)
    home.take(login(1, ("login", "ann")), login(2, ("login", "ben")), LETTER_OF_ANN, LETTER_OF_BEN)
    settings, policies = home.settings, open_policies(home.settings)
    with (
        closing(open_vault(settings)) as vault,
        closing(open_letters(settings)) as topic,
    ):
        before, applied = list(topic.all()), topic.applied()
        home.erase(ANN)
        (kept,) = topic.all()
        assert brought_up(settings, policies, vault).letters == 0
        topic.keep(before)
        topic.set_applied(applied)
        assert brought_up(settings, policies, vault).letters == 1
        assert list(topic.all()) == [kept]
        topic.keep(before)
        assert brought_up(settings, policies, vault).letters == 0, "nobody looks twice"
