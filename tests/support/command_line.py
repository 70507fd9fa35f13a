"""Runs the installed `kinfold` in a folder of its own, as its users do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

PROGRAM = Path(sys.executable).with_name("kinfold")
STOP_TIMEOUT_S = 30.0
EVENT = "2026-03-01T12:00:00Z"
"""When the signals of `login` happened, unless they say otherwise."""
_LISTENING = re.compile(r"listening on (\S+);")


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the program came to."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """The one JSON value that it printed."""
        return orjson.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The JSON values that it printed, one a line."""
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The program in a folder; settings of whoever runs the tests do not reach it."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 100.0

    def run(self, *arguments: str | Path, given: bytes = b"") -> Ran:
        """Run it to its end; `given` is its standard input.

        Whatever becomes of it, it never shows a traceback and ends with 0, 1 or 2.
        """
        done = subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self._environment(),
            input=given,
            capture_output=True,
            timeout=self.timeout_s,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.said, ran.said
        assert ran.code in (0, 1, 2), ran
        return ran

    def does(self, *arguments: str | Path, given: bytes = b"") -> Ran:
        """Run it; it must succeed."""
        ran = self.run(*arguments, given=given)
        assert ran.code == 0, ran
        return ran

    def fails(self, code: int, *arguments: str | Path, given: bytes = b"") -> Ran:
        """Run it; it must fail with this code and tell the error and the way out."""
        ran = self.run(*arguments, given=given)
        assert ran.code == code, ran
        lines = ran.err.splitlines()
        assert any(line.startswith("error: ") for line in lines), ran
        assert lines[-1].startswith("hint: "), ran
        return ran

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[str]:
        """Within the block it serves, and is ready; gives its address. It must stop with 0.

        One that does not stop says where each of its threads is.
        """
        command = self._command("serve", "--serve-listen", "127.0.0.1:0", *arguments)
        with (self.folder / "serve.log").open("ab") as log:
            server = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self._environment(), "PYTHONFAULTHANDLER": "1"},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            yield self._ready(server)
            server.send_signal(signal.SIGTERM)
            try:
                code = server.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.send_signal(signal.SIGABRT)
                server.wait(STOP_TIMEOUT_S)
                code = -signal.SIGABRT
            assert code == 0, (self.folder / "serve.log").read_text()
        finally:
            server.kill()
            server.wait()
            assert server.stdout is not None
            server.stdout.close()

    def _ready(self, server: subprocess.Popen[bytes]) -> str:
        assert server.stdout is not None
        listening = _LISTENING.search(server.stdout.readline().decode())
        assert listening is not None, (self.folder / "serve.log").read_text()
        assert server.stdout.readline().startswith(b"ready: ")
        return listening.group(1)

    def _command(self, *arguments: str | Path) -> list[str]:
        return [str(PROGRAM), *map(str, arguments)]

    def _environment(self) -> dict[str, str]:
        kept = {name: of for name, of in os.environ.items() if not name.startswith("KINFOLD_")}
        return {**kept, **self.environment}


def login(number: int, *identifiers: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A signal in proto JSON."""
    named = [{"kind": kind, "value": value} for kind, value in identifiers]
    return {"source": "web", "signalId": f"s-{number}", "eventTime": EVENT,
            "assurance": "ASSURANCE_AUTHENTICATED", "identifiers": named,
            **(more or {"loggedIn": {}})}  # fmt: skip


def as_lines(*signals: dict[str, Any] | bytes) -> bytes:
    """One line per signal."""
    return b"".join(
        (signal if isinstance(signal, bytes) else orjson.dumps(signal)) + b"\n"
        for signal in signals
    )
