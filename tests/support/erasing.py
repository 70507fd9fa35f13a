"""A home with people in it, worked the way its users do, for tests of erasure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from identity.model import Contribution, NodeKey, PersonId
from identity.scope import Scope
from identity.store import GraphStore, Outcome
from ingest.dead_letters import DeadLetter, Envelopes
from ingest.forms import Signals
from ingest.letter_writing import LetterWriter
from ingest.rejected import Rejected
from ingest.source import Form, Received
from kinfold.auditing import open_audit
from kinfold.cli import main
from kinfold.erasing import Erasing, Step
from kinfold.feeds import following, settle
from kinfold.letters import open_letters
from kinfold.privacy_places import open_erasing
from kinfold.restoring import bring_up
from kinfold.settings import Settings
from kinfold.wiring import (
    node_key,
    now_us,
    open_intake,
    open_policies,
    open_sealer,
    open_store,
    open_tokens,
    open_vault,
    open_view,
)
from profiles.audit import Kind
from profiles.privacy import Erased
from tests.support.command_line import as_lines
from tests.support.deployment import PATIENCE_S, Deployment
from tests.support.store_driver import Consumer

OLD = "2026-03-01T12:00:00Z"
Take = Callable[..., list[Outcome]]
"""Takes signals in; what became of each."""


def now() -> str:
    """The time, as signals say it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def signal(number: int | str, *identifiers: str, at: str = OLD, **more: Any) -> dict[str, Any]:
    """A signal about identifiers written as KIND:VALUE; a page view unless it says otherwise."""
    named = [dict(zip(("kind", "value"), one.split(":", 1), strict=True)) for one in identifiers]
    viewed = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}
    return {
        "source": "web",
        "signalId": f"s-{number}",
        "eventTime": at,
        "assurance": "ASSURANCE_AUTHENTICATED",
        "identifiers": named,
        **(more or viewed),
    }


def record(number: int | str, *identifiers: str, at: str = OLD, **said: str) -> dict[str, Any]:
    """A record of the shop's about identifiers."""
    return {**signal(number, *identifiers, at=at, recordAsserted=said), "source": "crm"}


@dataclass(frozen=True)
class Home:
    """A deployment whose verbs are run in this process."""

    deployment: Deployment

    @property
    def settings(self) -> Settings:
        """The settings that the verbs read."""
        return self.deployment.settings

    def does(self, *words: str) -> None:
        """Run a verb, which must succeed."""
        with patch.dict(os.environ, self.deployment.environment, clear=True):
            assert main(words) == 0

    def take(self, *signals: dict[str, Any] | bytes) -> Path:
        """Take signals in from a file; people and profiles are up to date when it returns."""
        path = self._write(*signals)
        self.does("ingest", str(path))
        return path

    def take_elsewhere(self, *signals: dict[str, Any] | bytes) -> None:
        """The same in another process, which first goes on with erasures that have begun."""
        process = self.deployment.start("ingest", str(self._write(*signals)))
        assert process.wait(PATIENCE_S) == 0

    def _write(self, *signals: dict[str, Any] | bytes) -> Path:
        folder = self.deployment.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.parent / f"{len(list(folder.parent.glob('*.jsonl')))}.jsonl"
        path.write_bytes(as_lines(*signals))
        return path

    @contextmanager
    def consumer(self) -> Iterator[Take]:
        """A consumer that runs already: it commits what it is given, and brings nothing up.

        One that starts, as `take_elsewhere` does, would first go on with what was cut short.
        """
        settings = self.settings
        with closing(open_vault(settings)) as vault, self.store() as store:
            intake = open_intake(settings, open_policies(settings), vault)
            consumer = Consumer(store, "running already", intake.age())

            def take(*signals: dict[str, Any]) -> list[Outcome]:
                read = [intake.from_json(orjson.dumps(one), now_us()) for one in signals]
                counts = [one for one in read if isinstance(one, Contribution)]
                assert len(counts) == len(signals)
                return consumer.take(*counts)

            yield take

    def keep_letter(self, said: dict[str, Any]) -> DeadLetter:
        """A letter of input that cannot count, as whatever knows nothing of erasures keeps it."""
        settings, payload = self.settings, orjson.dumps(said)
        with closing(open_vault(settings)) as vault, closing(open_letters(settings)) as letters:
            sealer = open_sealer(vault)
            signals = Signals(open_intake(settings, open_policies(settings), vault, sealer))
            envelopes = Envelopes(sealer, vault.order_key())
            writer = LetterWriter(envelopes, signals, "elsewhere")
            received = Received(payload, Form.JSON, b"1")
            (why,) = signals(received, now_us())
            assert isinstance(why, Rejected)
            writer.rejected(received, why, now_us())
            (letter,) = writer.take()
            letters.keep([letter])
        return letter

    def settle(self) -> None:
        """Bring people and profiles up to date, as whoever keeps them up does in the end."""
        settings = self.settings
        with closing(open_vault(settings)) as vault, self.store() as store:
            settle(settings, open_policies(settings), vault, store)

    def start(self) -> None:
        """What every process does before anything else: bring what is here up to the ledger."""
        bring_up(self.settings)

    def under(self, policy: Path) -> Home:
        """The same home under another policy file."""
        more = {**self.deployment.more, "KINFOLD_HOME_POLICY": str(policy)}
        return replace(self, deployment=Deployment(self.deployment.folder, more))

    @contextmanager
    def store(self) -> Iterator[GraphStore]:
        """The graph."""
        with closing(open_store(self.settings)) as store:
            yield store

    def key(self, named: str) -> NodeKey:
        """The node of KIND:VALUE."""
        return self._keys(named)[named]

    def _keys(self, *named: str) -> dict[str, NodeKey]:
        settings = self.settings
        policies = open_policies(settings)
        with closing(open_vault(settings)) as vault:
            tokens = open_tokens(vault)
            return {one: node_key(one, settings, policies, tokens) for one in named}

    def person(self, named: str) -> PersonId | None:
        """Whom the graph knows by KIND:VALUE."""
        return self.known(named).get(named)

    def known(self, *named: str) -> dict[str, PersonId]:
        """Whom the graph knows by each of these; nobody: it is left out."""
        keys = self._keys(*named)
        with self.store() as store:
            people = store.person_of(keys.values())
        return {one: people[key] for one, key in keys.items() if key in people}

    def together(self, *named: str) -> bool:
        """Whether all of these are known, and are one person."""
        known = self.known(*named)
        return len(known) == len(named) and len(set(known.values())) == 1

    def shown(self, named: str) -> PersonId | None:
        """Whom this home's read view leads to from KIND:VALUE."""
        return self.all_shown(named).get(named)

    def all_shown(self, *named: str) -> dict[str, PersonId]:
        """Whom it leads to from each of these, once it has caught up; nobody: it is left out."""
        settings, keys = self.settings, self._keys(*named)
        with ExitStack() as stack:
            vault = stack.enter_context(closing(open_vault(settings)))
            view = stack.enter_context(closing(open_view(settings)))
            if settings.pulsar.url:
                stack.enter_context(following(settings, vault, view))
            shown = {one: view.person_of(key) for one, key in keys.items()}
        return {one: person for one, person in shown.items() if person is not None}

    def letters(self) -> list[DeadLetter]:
        """The dead letters."""
        with closing(open_letters(self.settings)) as letters:
            return list(letters.all())

    def erasures_logged(self) -> int:
        """How many entries of the audit log are about an erasure."""
        settings = self.settings
        with (
            closing(open_vault(settings)) as vault,
            closing(open_audit(settings, vault)) as log,
        ):
            return sum(orjson.loads(entry)["kind"] == Kind.ERASURE for entry in log.entries())

    @contextmanager
    def erasing(self, step: Step = lambda _: None) -> Iterator[Erasing]:
        """What erases."""
        settings = self.settings
        policies = open_policies(settings)
        with ExitStack() as stack:
            vault = stack.enter_context(closing(open_vault(settings)))
            store = stack.enter_context(closing(open_store(settings)))
            yield stack.enter_context(open_erasing(settings, policies, vault, store, step=step))

    def erase(
        self,
        named: str,
        request: str = "r-1",
        *,
        suppress: bool = False,
        step: Step = lambda _: None,
    ) -> Erased:
        """Erase whoever is known by KIND:VALUE."""
        person = self.person(named)
        assert person is not None, f"nobody is known by {named}"
        with self.erasing(step) as erasing:
            return erasing.erase(request, person, suppress=suppress)

    def scope(self, named: str) -> Scope:
        """What erasing whoever is known by KIND:VALUE would take."""
        person = self.person(named)
        assert person is not None, f"nobody is known by {named}"
        with self.erasing() as erasing:
            found = erasing.scope(person)
        assert found is not None
        return found


def home_at(folder: Path, more: Mapping[str, str]) -> Home:
    """A home in a folder; `more` are settings by their variables' names."""
    return Home(Deployment(folder, more))
