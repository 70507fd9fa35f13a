"""The SQLite file of dead letters under its contract."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ingest.dead_letters import LettersDamaged
from ingest.dead_letters_file import FileLetters
from tests.contracts.dead_letters import DeadLettersContract, OpenLetters, letter


class TestFileLetters(DeadLettersContract):
    """Every opening is a connection of its own."""

    @pytest.fixture
    def open_letters(self, tmp_path: Path) -> OpenLetters:
        """Opens the same file each time."""
        return partial(FileLetters, tmp_path / "letters" / "dead.sqlite3")


def test_no_removed_letter_rests_in_the_file(tmp_path: Path) -> None:
    """Once removed, a letter's bytes are overwritten, in the file and in its log."""
    opened = FileLetters(tmp_path / "dead.sqlite3")
    kept = letter(1)
    opened.keep([kept])
    opened.remove([kept])
    opened.close()
    assert all(kept.sealed not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """A file that is no database is told as damaged, without the driver's words."""
    path = tmp_path / "dead.sqlite3"
    path.write_bytes(b"not a database at all, " * 100)
    with pytest.raises(LettersDamaged, match="damaged"):
        FileLetters(path)
