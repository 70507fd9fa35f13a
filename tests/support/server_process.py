"""A server as a process in a folder of its own, and its start on ports that nobody else takes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0
REST_TIMEOUT_S = 20.0
RESTARTS = 5
STARTS = 3
LOG_TAIL_LINES = 40
TAKEN = "Address already in use"
"""What a server says that finds somebody at its port."""


class ServerFailed(Exception):
    """A server ended, or did not become ready in time; the message holds the end of its log."""


@dataclass
class ServerProcess:
    """One server in its folder: started, killed and started again on the same data and ports."""

    name: str
    folder: Path
    command: list[str]
    class_path: str
    is_ready: Callable[[], bool]
    unrest: str = ""
    """What the server prints again and again while it is at odds with itself."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What the server printed, over all its starts."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            ServerFailed: it ended, or does not answer within START_TIMEOUT_S.
        """
        assert self._process is None, f"{self.name} is running already"
        # A parent that is killed takes its servers with it, where the system can promise that.
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *self.command],
                cwd=self.folder,
                env={**os.environ, "CLASSPATH": self.class_path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def found_its_port_taken(self) -> bool:
        """Whether the server said that somebody else listens where it was to."""
        # Neo4j says so in a log of its own.
        logs = self.folder.rglob("*.log")
        return any(TAKEN in each.read_text(errors="replace") for each in logs)

    def stop(self) -> None:
        """End the server in order; kill it if it takes longer than STOP_TIMEOUT_S."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would, with SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again after `kill` or `stop`, on the same data and ports.

        A standalone Pulsar that was killed may fight with itself over the lock
        of its bookie, for seconds or for ever: then it is killed and started anew.

        Raises:
            ServerFailed: as `start`, or it found no rest in any of RESTARTS starts.
        """
        for _ in range(RESTARTS):
            self.start()
            if self._finds_rest():
                return
            self.kill()
        raise ServerFailed(f"{self.name} found no rest\n{self._tail()}")

    def _finds_rest(self) -> bool:
        if not self.unrest:
            return True
        deadline, before = time.monotonic() + REST_TIMEOUT_S, -1
        while time.monotonic() < deadline:
            now = self.log.read_text(errors="replace").count(self.unrest)
            if now == before and self.is_ready():
                return True
            before = now
            time.sleep(1.0)
        return False

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if process.poll() is not None:
                self._process = None
                raise ServerFailed(f"{self.name} ended with {process.returncode}\n{self._tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(
                    f"{self.name} not ready after {START_TIMEOUT_S} s\n{self._tail()}"
                )
            time.sleep(0.1)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


class Server(Protocol):
    """What is made of a server's process."""

    @property
    def process(self) -> ServerProcess:
        """The process."""


AnyServer = TypeVar("AnyServer", bound=Server)


def started(folder: Path, make: Callable[[Path], AnyServer]) -> AnyServer:
    """A server that `make` has set up in the folder, which is empty, once it answers.

    A port that was free when the server was set up may be taken when it comes to
    listen: then it is set up anew, from an empty folder and on other ports.

    Raises:
        ServerFailed: it does not start, or found its ports taken STARTS times.
    """
    for _ in range(STARTS - 1):
        server = make(folder)
        try:
            server.process.start()
        except ServerFailed:
            if not server.process.found_its_port_taken():
                raise
            _empty(folder)
        else:
            return server
    server = make(folder)
    server.process.start()
    return server


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()
