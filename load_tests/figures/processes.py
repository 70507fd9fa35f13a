"""`kinfold` verbs as processes of their own, as a team would run them, and their CPU time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class VerbFailed(Exception):
    """A verb ended too early, or was too late; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class RunningVerb:
    """A verb that runs."""

    process: subprocess.Popen[str]
    said: SimpleQueue[str]
    log: Path

    def wait_for(self, words: str) -> str:
        """The first line from here on that holds these words.

        Raises:
            VerbFailed: it ended or said nothing of the kind within START_TIMEOUT_S.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                line = self.said.get(timeout=0.2)
            except Empty:
                if self.process.poll() is not None:
                    break
                continue
            if words in line:
                return line
        raise VerbFailed(f"never said {words!r}; exit code {self.process.poll()}\n{self.tail()}")

    def tail(self) -> str:
        """The end of what it wrote to its error stream."""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-20:])

    def cpu_s(self) -> float:
        """CPU time since its start, kernel included."""
        return cpu_s_of(self.process.pid)


def cpu_s_of(pid: int) -> float:
    """CPU time of a process since its start, kernel included."""
    after_name = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2]
    user, system = after_name.split()[11:13]
    return (int(user) + int(system)) / _TICKS_PER_S


@contextmanager
def running(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[RunningVerb]:
    """`kinfold arguments…` until the block ends; its error stream goes to `log`."""
    command = [sys.executable, "-m", "kinfold", *arguments]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
        )
    said: SimpleQueue[str] = SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, said.put), daemon=True)
    reader.start()
    try:
        yield RunningVerb(process, said, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def _read(process: subprocess.Popen[str], put: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        put(line)
