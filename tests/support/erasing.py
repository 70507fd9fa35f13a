"""A home with people in it, worked the way its users do, for tests of erasure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from identity.model import NodeKey, PersonId
from identity.scope import Scope
from identity.store import GraphStore
from kinfold.cli import main
from kinfold.erasing import Erasing, Step
from kinfold.feeds import following
from kinfold.privacy_places import open_erasing
from kinfold.settings import Settings
from kinfold.wiring import node_key, open_policies, open_store, open_tokens, open_vault, open_view
from profiles.privacy import Erased
from tests.support.command_line import as_lines
from tests.support.deployment import Deployment

OLD = "2026-03-01T12:00:00Z"


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
        """The same in another process."""
        process = self.deployment.start("ingest", str(self._write(*signals)))
        assert process.wait(60) == 0

    def _write(self, *signals: dict[str, Any] | bytes) -> Path:
        folder = self.deployment.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.parent / f"{len(list(folder.parent.glob('*.jsonl')))}.jsonl"
        path.write_bytes(as_lines(*signals))
        return path

    @contextmanager
    def store(self) -> Iterator[GraphStore]:
        """The graph."""
        with closing(open_store(self.settings)) as store:
            yield store

    def key(self, named: str) -> NodeKey:
        """The node of KIND:VALUE."""
        settings = self.settings
        with closing(open_vault(settings)) as vault:
            return node_key(named, settings, open_policies(settings), open_tokens(vault))

    def person(self, named: str) -> PersonId | None:
        """Whom the graph knows by KIND:VALUE."""
        key = self.key(named)
        with self.store() as store:
            return store.person_of([key]).get(key)

    def together(self, *named: str) -> bool:
        """Whether all of these are known, and are one person."""
        people = {self.person(one) for one in named}
        return len(people) == 1 and None not in people

    def shown(self, named: str) -> PersonId | None:
        """Whom this home's read view leads to from KIND:VALUE."""
        settings, key = self.settings, self.key(named)
        with closing(open_vault(settings)) as vault, closing(open_view(settings)) as view:
            if settings.pulsar.url:
                with following(settings, vault, view):
                    return view.person_of(key)
            return view.person_of(key)

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
