"""An embedded home whose keys rotate, with a clock of its own and deaths at chosen moments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from identity.model import Contribution, NodeKey, PersonId
from identity.resolver import Resolver
from identity.store import Batch, GraphStore, KeyAge, Outcome
from ingest.dead_letters import DeadLetter, Envelopes
from kinfold.keys import CHAIN, KeyWatch, VaultKeys
from kinfold.letters import open_letters
from kinfold.rotating import Letters, Rotation, is_under_way
from kinfold.settings import HomeSettings, Settings
from kinfold.upkeep import Upkeep
from kinfold.wiring import (
    new_person_id,
    open_builder,
    open_intake,
    open_lookup,
    open_policies,
    open_sealer,
    open_store,
    open_tokens,
    open_vault,
    open_view,
    view_root,
)
from profiles.feed_local import LocalFeed
from profiles.feeder import Feeder
from profiles.sealing import Sealer, epoch_of
from profiles.turning import LocalTurning, ViewTurning
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse
from profiles.vault import KeyVault
from tests.support.command_line import login
from tests.support.profile_works import shown
from tests.support.rights import EVERYTHING

BEGAN_US = 1_790_000_000_000_000
STEP_US = 1_000_000
LETTER = "a" * 26
BIRTH = {"givenName": "Ada", "familyName": "Rossi", "birthDate": {"year": 1990, "month": 2}}


class Killed(BaseException):
    """The process ends here, as by kill -9."""


@dataclass
class Fate:
    """After how many calls of what has effects the process is killed; 0: never."""

    calls_left: int = 0
    calls: int = 0

    def passes(self) -> None:
        """One more call is about to happen."""
        self.calls += 1
        if self.calls_left:
            self.calls_left -= 1
            if not self.calls_left:
                raise Killed


class Mortal:
    """Hands every call of some methods on, unless the process is killed right before or after."""

    def __init__(self, real: Any, fate: Fate, *methods: str) -> None:
        self._real, self._fate, self._methods = real, fate, methods

    def __getattr__(self, name: str) -> Any:
        """The real one's, as deadly as fate has it."""
        found = getattr(self._real, name)
        if name not in self._methods:
            return found

        def deadly(*arguments: Any, **named: Any) -> Any:
            self._fate.passes()
            result = found(*arguments, **named)
            self._fate.passes()
            return result

        return deadly


@dataclass
class Log:
    """What was announced: epochs about to be destroyed, and ages left, each once."""

    destroyed: dict[int, int] = field(default_factory=dict)
    ended: dict[KeyAge, int] = field(default_factory=dict)
    busy: bool = False

    def before(self, epochs: tuple[int, ...], at_us: int) -> None:
        """See `kinfold.rotating.Announce`."""
        for epoch in epochs:
            self.destroyed.setdefault(epoch, at_us)

    def may_rename(self, chain: int) -> bool:
        """See `kinfold.rotating.Announce`."""
        del chain
        return not self.busy

    def after(self, age: KeyAge, at_us: int) -> None:
        """See `kinfold.rotating.Announce`."""
        assert self.ended.setdefault(age, at_us) == at_us


class RotatingHome:
    """One home in a folder; `now_us` is its clock."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.settings = settings or Settings(home=HomeSettings(dir=str(folder)))
        self.folder = folder
        self.policies = open_policies(self.settings)
        self.now_us = BEGAN_US
        self.log = Log()
        with closing(open_vault(self.settings)) as vault:
            self.order_key = vault.order_key()

    @contextmanager
    def process(self, fate: Fate | None = None) -> Iterator[Process]:
        """A process of its own over the home, to be killed when fate wills."""
        process = Process(self, fate or Fate())
        try:
            yield process
        finally:
            process.close()

    def clock_us(self) -> int:
        """The time."""
        return self.now_us


class Process:
    """Upkeep, lookups and an intake over a home, with store and view of their own."""

    def __init__(self, home: RotatingHome, fate: Fate) -> None:
        settings, policies = home.settings, home.policies
        self.home = home
        self.plain_vault = open_vault(settings)
        deadly = ("agree", "destroy_epoch", "new_epoch", "new_token_key")
        self.vault: KeyVault = Mortal(self.plain_vault, fate, *deadly)
        self.plain_store = open_store(settings)
        self.store: GraphStore = Mortal(
            self.plain_store, fate, "require", "rekey", "rewrap", "commit_resolution"
        )
        self.view = open_view(settings)
        self.sealer = open_sealer(self.vault)
        self.feed = LocalFeed(self.view, lambda: home.now_us // 1_000)
        resolver = Resolver(self.store, policies.identity, new_person_id)
        feeder = Feeder(self.store, open_builder(policies, self.vault, self.sealer), self.feed)
        self._files = ViewTurning(view_root(settings), self.view, lambda: home.now_us / 1e6)
        turning = LocalTurning(self.feed, self._files, lambda: home.now_us // 1_000)
        self.watch = KeyWatch(self.plain_vault, lambda: home.now_us / 1e6)
        self.watch.tell(self.sealer.renew)
        self.lookup = open_lookup(settings, policies, self.plain_vault, self.view, watch=self.watch)
        self.rotation = Rotation(
            self.vault,
            self.store,
            feeder,
            Mortal(turning, fate, "begin", "switch", "is_left"),
            self.sealer,
            self._letters(fate),
            Mortal(home.log, fate, "before", "after"),
            resolver.forget,
            every_days=0,
        )
        self.upkeep = Upkeep(
            self.store,
            resolver,
            feeder,
            owner=f"process {id(self)}",
            lease_ms=100,
            now_us=home.clock_us,
            view=self.view,
            watch=self.watch,
            rotation=self.rotation,
        )
        self._intake_sealer = open_sealer(self.plain_vault)
        self.intake = open_intake(settings, policies, self.plain_vault, self._intake_sealer)

    def close(self) -> None:
        """As its end by kill -9 leaves it: files closed, nothing finished."""
        with suppress(Exception):
            self.rotation.close()
        self.view.close()
        self.plain_store.close()
        self.plain_vault.close()

    def _letters(self, fate: Fate) -> Callable[[], Any]:
        @contextmanager
        def opened() -> Iterator[Iterable[Letters]]:
            with closing(open_letters(self.home.settings)) as letters:
                yield (Mortal(letters, fate, "rewrap"),)

        return opened

    def take(self, *signals: dict[str, Any]) -> list[Outcome]:
        """Understand and commit signals as a consumer does."""
        read = [self.intake.from_json(orjson.dumps(one), self.home.now_us) for one in signals]
        contributions = [one for one in read if isinstance(one, Contribution)]
        assert len(contributions) == len(read), read
        at = self.plain_store.claim("tests")
        return self.plain_store.commit(Batch(contributions, at, b"", self.intake.age()))

    def keep_letter(self) -> None:
        """Keep a dead letter, sealed under the keys of now."""
        envelopes = Envelopes(self._intake_sealer, self.home.order_key)
        sealed = envelopes.close(LETTER, b"bad input of ada@example.org")
        letter = DeadLetter(LETTER, "kind", "signal", "", "web", "json", "p", b"1", 1, sealed)
        with closing(open_letters(self.home.settings)) as letters:
            letters.keep([letter])

    def step(self) -> bool:
        """One round of upkeep, a second later."""
        self.home.now_us += STEP_US
        return self.upkeep.once()

    def finish(self, look: Callable[[], object] = lambda: None) -> None:
        """Rounds until nothing is to be done; `look` after each."""
        for _ in range(400):
            busy = self.step()
            look()
            if not busy and not is_under_way(self.plain_vault):
                return
        raise AssertionError("the rotation does not come to its end")

    def finds(self, kind: str, value: str) -> tuple[PersonId, Profile]:
        """Who a lookup by identifier finds, with everything."""
        request = GetProfileRequest()
        request.subject.identifier.kind, request.subject.identifier.value = kind, value
        request.purposes.extend(self.home.policies.purposes.by_name)
        answer = self.lookup.get_serialized(
            request.SerializeToString(), self.home.now_us, EVERYTHING
        )
        assert isinstance(answer, bytes), answer
        response = GetProfileResponse.FromString(answer)
        return response.person_id, response.profile

    def shown(self) -> Mapping[NodeKey, Profile]:
        """Everything the view shows, opened."""
        return shown(self.view, Sealer(self.plain_vault, bytes))

    def epochs_left(self) -> set[int]:
        """The epochs of all sealed values in graph, dead letters and view."""
        found: set[int] = set()

        def note(sealed: bytes) -> bytes:
            found.add(epoch_of(sealed))
            return sealed

        position = b""
        while True:
            position = self.plain_store.rewrap(note, position, 100).position
            if not position:
                break
        with closing(open_letters(self.home.settings)) as letters:
            letters.rewrap(note)
        for _, stored in self.view.everything():
            if stored.sealed:
                note(stored.sealed)
        return found

    def open_letter(self) -> bytes:
        """The dead letter's input."""
        envelopes = Envelopes(open_sealer(self.plain_vault), self.home.order_key)
        with closing(open_letters(self.home.settings)) as letters:
            letter = letters.find(LETTER)
        assert letter is not None
        return envelopes.open(letter)

    def keys(self) -> dict[str, NodeKey]:
        """Node keys of some identifiers as the graph names them now."""
        tokens = open_tokens(self.plain_vault)
        named = {"ada@example.org": "email", "u-ada": "login", "u-bob": "login"}
        return {value: tokens.key(kind, value) for value, kind in named.items()}

    def chain(self) -> tuple[int, int]:
        """How many token keys there are, and how many the graph's nodes are named under."""
        return len(self.plain_vault.token_keys()), self.plain_vault.agreed(CHAIN) or 1


SIGNALS = (
    login(1, ("login", "u-ada"), ("device", "d-ada"), ("email", "ada@example.org")),
    login(2, ("login", "u-bob"), ("device", "d-bob")),
    login(3, ("login", "u-ada"), recordAsserted={"givenName": "Ada", "familyName": "Rossi"}),
    login(
        4,
        ("device", "d-ada"),
        behaviour={"type": "BEHAVIOUR_TYPE_PURCHASE", "item": "shoe", "value": 9.5},
    ),
    login(5, ("login", "u-carl"), ("email", "carl@example.org"), ("phone", "+41791234567")),
)
"""Three people, one of them with a record and a purchase."""
LATER = login(6, ("login", "u-bob"), ("email", "bob@example.org"))


def keys_of(vault: KeyVault, sealer: Sealer) -> VaultKeys:
    """The keys of a consumer of its own."""
    return VaultKeys(vault, sealer)
