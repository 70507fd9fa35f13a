"""A home put back from a backup: whichever verb comes first, who was erased stays away."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kinfold.cli import BRINGS_UP, VERBS
from tests.support.command_line import CommandLine, as_lines, login

ANN, BEN = "login:ann", "login:ben"
FIRST = (
    ("get", ANN, "--local", "--for", "service"),
    ("consent", "show", ANN),
    ("explain", ANN, "email:ann@posteo.net"),
    ("lineage", ANN),
    ("export", "graph", "--out", "graph", "--recipient", "lab", "--expires", "2099-01-31"),
    ("privacy", "submit", "r-2", "--kind", "access", "--of", ANN, "--staff", "desk"),
)
NOBODY = {"get", "consent", "explain", "lineage"}
"""Verbs that fail when nobody is known; the others have Ben, or take in what is asked."""
OPENS_ITSELF = {"ingest", "run", "serve", "dead-letters"}
READS_NOBODY = {"demo", "generate", "evaluate", "audit", "doctor"}


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A home with Ann, who will be erased, and Ben; a backup of it in `backup`."""
    line = CommandLine(tmp_path)
    both = as_lines(
        login(1, ("login", "ann"), ("email", "ann@posteo.net")), login(2, ("login", "ben"))
    )
    line.does("ingest", "-", given=both)
    submit = ("--kind", "erasure", "--of", ANN, "--level", "authenticated", "--staff", "desk")
    line.does("privacy", "submit", "r-1", *submit)
    access = ("--kind", "access", "--of", BEN, "--level", "authenticated", "--staff", "desk")
    line.does("privacy", "submit", "r-0", *access)
    line.does("privacy", "withdraw", "r-0", "--staff", "desk")
    shutil.copytree(tmp_path / ".kinfold", tmp_path / "backup")
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "run", "r-1", "--staff", "desk")
    return line


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
