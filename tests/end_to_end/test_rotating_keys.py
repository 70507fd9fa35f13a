"""Keys are rotated by hand while a server answers; nobody is ever not found."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import grpc
import pytest

from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.beside import beside
from tests.support.command_line import CommandLine, as_lines, login

PEOPLE = 300
VIEWED = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}


def signals(first: int, people: range) -> bytes:
    """A page view of each person, as lines."""
    return as_lines(*(login(first + n, ("login", f"user.{n}"), **VIEWED) for n in people))


class Asking:
    """Asks for one person after the other, by identifier and by id, until it is told to stop."""

    def __init__(self, address: str) -> None:
        self.asked = 0
        self.wrong: list[str] = []
        self._address = address
        self._ids: dict[int, str] = {}

    def ask(self, stop: threading.Event) -> None:
        """Ask until `stop` is set."""
        with grpc.insecure_channel(self._address) as channel:
            stub = ProfileServiceStub(channel)
            while not stop.is_set():
                self._ask_for(stub, self.asked % PEOPLE)
                self.asked += 1

    def _ask_for(self, stub: ProfileServiceStub, number: int) -> None:
        named = SubjectIdentifier(kind="login", value=f"user.{number}")
        subjects = [Subject(identifier=named)]
        if number in self._ids:
            subjects.append(Subject(person_id=self._ids[number]))
        for subject in subjects:
            found = self._found(stub, subject)
            if self._ids.setdefault(number, found) != found:
                self.wrong.append(f"user.{number} is somebody else")

    def _found(self, stub: ProfileServiceStub, subject: Subject) -> str:
        try:
            return stub.GetProfile(GetProfileRequest(subject=subject), timeout=60).person_id
        except grpc.RpcError as error:
            self.wrong.append(str(error))
            return ""


@pytest.mark.parametrize("what", [(), ("--tokens",)], ids=["epoch", "epoch and tokens"])
def test_rotating_while_serving(tmp_path: Path, what: tuple[str, ...]) -> None:
    """The server carries it out, finds everybody throughout, and takes in what comes after."""
    line = CommandLine(tmp_path)
    line.does("ingest", "-", given=signals(0, range(PEOPLE)))
    before = line.does("keys", "show", "--json").json
    assert (before["epoch"], before["token_keys"], before["rotating"]) == (1, 1, "no")
    with line.serving() as address:
        asking = Asking(address)
        with beside(asking.ask) as wait_until:
            wait_until(lambda: asking.asked >= PEOPLE)
            before_it = asking.asked
            told = line.does("keys", "rotate", *what, "--json").json
            after_it = asking.asked
            # One may be on its way: everybody was asked for anew once one more is answered.
            wait_until(lambda: asking.asked > after_it + PEOPLE)
    assert after_it > before_it
    assert asking.wrong == []
    assert (told["epoch"], told["older_epochs"], told["rotating"]) == (2, 0, "no")
    assert told["token_keys"] == 1 + len(what)
    assert told["copies_from_before_cannot_be_read"] > told["rotation_began"]
    logged = line.does("audit", "show", "--json").json_lines
    assert [entry["kind"] for entry in logged if entry["kind"] == "keys"] == ["keys"]
    again = line.does("ingest", "-", "--json", given=signals(0, range(PEOPLE + 1))).json
    assert (again["duplicate"], again["counted"]) == (PEOPLE, 1)
    shown = line.does("get", "login:user.7", "--local", "--json").json
    assert shown


def test_a_graph_from_before_is_brought_up(tmp_path: Path) -> None:
    """Put back from a backup, it goes by the newer token keys before anything counts."""
    line, home = CommandLine(tmp_path), tmp_path / ".kinfold"
    line.does("ingest", "-", given=signals(0, range(20)))
    before = line.does("get", "login:user.7", "--local", "--json").json["person_id"]
    shutil.copy(home / "graph.sqlite3", tmp_path / "backup")
    line.does("keys", "rotate", "--tokens")
    for left in home.glob("graph.sqlite3-*"):
        left.unlink()
    shutil.copy(tmp_path / "backup", home / "graph.sqlite3")
    again = line.does("ingest", "-", "--json", given=signals(0, range(21))).json
    assert (again["duplicate"], again["counted"]) == (20, 1)
    assert line.does("get", "login:user.7", "--local", "--json").json["person_id"] == before
