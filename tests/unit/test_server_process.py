"""Servers of tests start on ports of their own, or somewhere else."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.ports import END, free_ports
from tests.support.server_process import ServerFailed, ServerProcess, started

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Files:
    """Serves the files of its folder."""

    process: ServerProcess


def files(folder: Path, port: int) -> Files:
    """A server that is not started."""
    (folder / "here").touch(exist_ok=False)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]

    def is_ready() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/here", timeout=1).close()
        except OSError:
            return False
        return True

    return Files(ServerProcess("files", folder, command, "", is_ready))


def test_ports_take_turns_between_processes() -> None:
    """No port is given twice, here or to another process, and none that connections take."""
    told = "from tests.support.ports import free_ports; print(*free_ports(3))"
    other = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = [*free_ports(3), *map(int, other.stdout.split()), *free_ports(3)]
    assert len(set(found)) == 9
    assert all(1_024 < port < END for port in found)


def test_a_port_that_somebody_listens_on_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose turn it is is passed over while it is taken."""
    (port,) = free_ports(1)
    (tmp_path / "turn").write_text(str(port - 1))
    monkeypatch.setattr(ports, "TURN", tmp_path / "turn")
    with socket.create_server(("127.0.0.1", port)):
        assert port not in free_ports(3)
    (tmp_path / "turn").write_text(str(port - 1))
    assert free_ports(1) == [port]


def test_a_server_that_finds_its_port_taken_starts_on_another(tmp_path: Path) -> None:
    """It is set up anew in an empty folder, as often as that may be chance."""
    taken, free = free_ports(2)
    turns = [taken, taken, free]
    with socket.create_server(("127.0.0.1", taken)):
        server = started(tmp_path, lambda folder: files(folder, turns.pop(0)))
        try:
            assert turns == []
            assert server.process.is_ready()
        finally:
            server.process.kill()


def test_a_server_that_finds_every_port_taken_fails(tmp_path: Path) -> None:
    """Its own words say why."""
    (taken,) = free_ports(1)
    with (
        socket.create_server(("127.0.0.1", taken)),
        pytest.raises(ServerFailed, match="Address already in use"),
    ):
        started(tmp_path, lambda folder: files(folder, taken))


def test_a_server_that_fails_otherwise_is_not_tried_again(tmp_path: Path) -> None:
    """What is wrong with it would be wrong the next time."""
    made: list[Path] = []

    def wrong(folder: Path) -> Files:
        made.append(folder)
        return Files(ServerProcess("wrong", folder, [sys.executable, "-c", "1/0"], "", bool))

    with pytest.raises(ServerFailed, match="ZeroDivisionError"):
        started(tmp_path, wrong)
    assert len(made) == 1
