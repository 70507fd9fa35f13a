"""`kinfold` in this process, as somebody of staff, with what it printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from kinfold.cli import main
from tests.support.command_line import Ran, as_lines

LEVEL = ("--level", "authenticated")


@dataclass(frozen=True)
class AskingLine:
    """The program with a home in a folder. `staff` acts unless a call says otherwise; `more` are
    settings by their variables' names.
    """

    folder: Path
    staff: str = "desk"
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the program sees."""
        kept = {name: of for name, of in os.environ.items() if not name.startswith("KINFOLD_")}
        home = {"KINFOLD_HOME_DIR": str(self.folder / "home"), "KINFOLD_HOME_STAFF": self.staff}
        return {**kept, **home, **self.more}

    def run(self, *words: str | Path) -> Ran:
        """Run it to its end."""
        out, err = StringIO(), StringIO()
        environment = patch.dict(os.environ, self.environment, clear=True)
        with environment, redirect_stdout(out), redirect_stderr(err):
            code = main([str(word) for word in words])
        return Ran(code, out.getvalue(), err.getvalue())

    def does(self, *words: str | Path) -> Ran:
        """Run it; it must succeed."""
        ran = self.run(*words)
        assert ran.code == 0, ran
        return ran

    def fails(self, reason: str, *words: str | Path) -> Ran:
        """Run it; it must fail, with this reason and a hint."""
        ran = self.run(*words)
        assert ran.code in (1, 2), ran
        assert f"({reason})" in ran.err, ran
        assert "hint: " in ran.err
        return ran

    def take(self, *signals: dict[str, object]) -> None:
        """Take signals in."""
        path = self.folder / f"{len(list(self.folder.glob('*.jsonl')))}.jsonl"
        path.write_bytes(as_lines(*signals))
        self.does("ingest", path)

    def submit(self, request: str, kind: str, of: str, *more: str) -> Ran:
        """Take a request in from somebody who is known for sure."""
        return self.does("privacy", "submit", request, "--kind", kind, "--of", of, *LEVEL, *more)

    def erase(self, request: str, of: str, *more: str) -> Ran:
        """Take an erasure in, approve it as another person, and run it."""
        self.submit(request, "erasure", of, *more)
        self.does("privacy", "approve", request, "--staff", "dpo")
        return self.does("privacy", "run", request, "--json")

    def granted(self, of: str) -> set[str]:
        """The purposes that somebody grants."""
        states = self.does("consent", "show", of, "--json").json["states"]
        return {one["purpose"] for one in states if one["granted"]}

    def is_served(self, of: str) -> bool:
        """Whether a lookup finds somebody."""
        return self.run("get", "--local", of, "--for", "service").code == 0
