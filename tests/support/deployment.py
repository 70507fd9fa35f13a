"""A deployment of kinfold: its settings, its processes, and the state they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from identity.model import NodeKey, PersonId
from identity.store import GraphStore
from ingest.dead_letters import Envelopes
from kinfold.feeds import following
from kinfold.letters import open_letters
from kinfold.settings import Settings, load
from kinfold.wiring import open_sealer, open_store, open_vault, open_view
from profiles.read_view import MERGED, PROFILE, ReadView
from profiles.v1.profile_pb2 import Profile
from tests.support.end_state import EndState, end_state, inputs
from tests.support.profile_works import shown

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0


@dataclass(frozen=True)
class Left:
    """What a deployment left behind, without ids and seals.

    - `people`: everybody's evidence; `profiles`: what each alias shows.
    - `letters`: reason and input of every dead letter that holds one.
    - `signals`: how many are remembered.
    """

    people: EndState
    profiles: dict[NodeKey, Profile]
    letters: dict[str, tuple[str, bytes]]
    signals: int


@dataclass
class Deployment:
    """Processes that share settings; `more` are settings by their variables' names."""

    folder: Path
    more: Mapping[str, str]
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes see."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith("KINFOLD_")}
        home = {"KINFOLD_HOME_DIR": str(self.folder), "KINFOLD_HOME_REGION": "CH"}
        return {**plain, **home, **self.more}

    @property
    def settings(self) -> Settings:
        """The settings that the processes read."""
        return load({}, self.environment)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `kinfold` with these words; what it says goes to a file in the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "kinfold", *words],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self._processes.append(process)
        return process

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """Kill -9, and wait until it is gone."""
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Ask a process to stop as a service would, once it has begun; its exit code."""
        until_begun(process)
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_S)

    def close(self) -> None:
        """Kill whatever still runs."""
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)

    def share_keys_with(self, other: Deployment) -> None:
        """Give another deployment a copy of this one's keys: the same values, the same tokens."""
        shutil.copytree(self.folder / "keys", other.folder / "keys")

    @contextmanager
    def store(self) -> Iterator[GraphStore]:
        """The deployment's graph."""
        with closing(open_store(self.settings)) as store:
            yield store

    def wait_until_resolved(self) -> None:
        """Until no mark and no unpublished person is left."""
        with self.store() as store:
            until(lambda: not store.marks(1) and not store.outbox(1), "all is resolved and fed")

    def shown(self) -> dict[NodeKey, Profile]:
        """What the home's own view shows, once it has caught up from where it is."""
        settings = self.settings
        view = open_view(settings)
        with (
            closing(open_vault(settings)) as vault,
            closing(view),
            following(settings, vault, view),
        ):
            return shown(view, open_sealer(vault))

    def left(self) -> Left:
        """The state it is in; with Pulsar, profiles are those of a replica that starts anew."""
        settings = self.settings
        view = open_view(settings)
        with closing(open_vault(settings)) as vault, self.store() as store, closing(view):
            if settings.pulsar.url:
                view.clear()
                with following(settings, vault, view):
                    pass
            assert_every_id_resolves(store, view)
            sealer = open_sealer(vault)
            with closing(open_letters(settings)) as letters:
                kept = inputs(letters.all(), Envelopes(sealer, vault.order_key()))
            return Left(end_state(store), shown(view, sealer), kept, store.totals().signals)


def assert_every_id_resolves(store: GraphStore, view: ReadView) -> None:
    """Every id ever given out stands in the view for whom it stands for in the graph."""
    current = set(store.all_people())
    for person in store.all_ids():
        stands_for = store.current(person)
        assert stands_for in current or stands_for is None
        assert _followed(view, person) == stands_for


def _followed(view: ReadView, person: PersonId) -> PersonId | None:
    stored = view.stored(person)
    assert stored is not None, "an id that was given out is missing from the view"
    if stored.state == MERGED:
        return _followed(view, stored.rest.decode())
    return person if stored.state == PROFILE else None


def until(done: Any, what: str) -> None:
    """Wait for a condition; an assertion fails when it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.1)


def until_begun(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process works, and so stops in order when told to, or has ended."""
    until(lambda: process.poll() is not None or _heeds_sigterm(process.pid), "it has begun")


def _heeds_sigterm(pid: int) -> bool:
    """Whether a process has a handler of its own; where the system does not say, it has."""
    try:
        told = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace")
    except FileNotFoundError:
        return True
    (caught,) = (line for line in told.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _differences(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> list[Any]:
    """A few of the keys that differ, with both values: all of them are too many to read."""
    differing = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
    return [(key, left.get(key), right.get(key)) for key in differing[:3]]


def assert_same(left: Left, undisturbed: Left) -> None:
    """Same people, same evidence, same profiles, every signal once, and no dead letter lost."""
    assert left.signals == undisturbed.signals
    assert not _differences(left.people, undisturbed.people)
    assert not _differences(left.profiles, undisturbed.profiles)
    # Of two contents under one id, which one comes second is up to the partitions.
    assert _rejected(left) == _rejected(undisturbed)
    assert len(_rejected(undisturbed)) > 0


def _rejected(left: Left) -> dict[str, tuple[str, bytes]]:
    return {name: letter for name, letter in left.letters.items() if letter[0] != "outdone"}
