"""No cache keeps a raw value once somebody was erased, by whichever process."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import kinfold
from identity.forgetting import forget_all
from identity.matching import text
from identity.naming import Naming
from identity.policy import parse
from identity.tokens import Tokens
from ingest import normalise
from kinfold.keys import LOOK_S, GraphNaming, KeyWatch, note_erasure
from profiles.vault_memory import MemoryVault
from tests.support.intaking import NOW_US, ORDER_KEY, TOKEN_KEYS, counted, intake, line, vault_keys

ROOT = Path(kinfold.__file__).parents[1]
NO_VALUES = {
    "identity/engines/neo4j/packing.py": "days",
    "identity/forgetting.py": "the caches that are emptied",
    "ingest/normalise.py": "names of time zones",
    "profiles/affinities.py": "half-lives",
    "profiles/build.py": "parts of profiles, and where somebody may be",
    "profiles/layout.py": "numbers",
    "profiles/places.py": "countries",
    "profiles/serve/errors.py": "refusals",
    "profiles/serve/wire.py": "refusals and lengths",
}
"""Who else caches, and what: no value of anybody's."""


def test_every_cache_over_values_can_be_emptied() -> None:
    """Whoever uses `lru_cache` itself is known to cache nothing of anybody."""
    packages = ("identity", "ingest", "profiles", "kinfold")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    found = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if re.search(r"\b(lru_cache\(|functools\.cache|@cache\b)", file.read_text("utf-8"))
    }
    assert found == set(NO_VALUES)


def naming() -> Naming:
    """Names under keys of its own."""
    kinds = {"kinds": {"login": {"priority": 1}}}
    return Naming(parse(kinds), Tokens(TOKEN_KEYS, ORDER_KEY))


def test_all_caches_of_the_process_are_emptied() -> None:
    """Of text that is compared, of agents, of names, and of signals that came in."""
    named, ours = naming(), intake()
    text.fold("Ottilie")
    normalise.agent("Mozilla/5.0")
    named("login", "ottilie")
    counted(ours.from_json(line(identifiers=[{"kind": "login", "value": "ottilie"}]), NOW_US))
    caches = (text.fold, normalise.agent, named._cached, ours._pseudonymiser._held)
    assert all(one.cache_info().currsize for one in caches)
    forget_all()
    assert not any(one.cache_info().currsize for one in caches)


def emptied(look: Callable[[], object]) -> bool:
    """Whether a look empties the caches of the process."""
    text.fold("Ottilie")
    look()
    return text.fold.cache_info().currsize == 0


def test_a_watch_notices_an_erasure_within_a_second() -> None:
    """It tells once what has caches of its own, and empties all others."""
    vault, now_s, told = MemoryVault(os.urandom), [0.0], list[int]()
    watch = KeyWatch(vault, lambda: now_s[0])
    watch.tell(lambda: told.append(1))
    note_erasure(vault, NOW_US)
    assert not emptied(watch.look)
    now_s[0] += LOOK_S
    assert emptied(watch.look)
    now_s[0] += LOOK_S
    assert not emptied(watch.look)
    assert told == [1]


@pytest.mark.parametrize("looks", ["intake", "naming"])
def test_who_reads_the_vault_notices_an_erasure(looks: str) -> None:
    """A consumer at its next look, a service at its next question; the names stay the same."""
    vault = MemoryVault(os.urandom)
    ours, asking = intake(keys=vault_keys(vault)), GraphNaming(vault, lambda _: naming())
    before = asking("login", "ottilie")

    def look() -> None:
        if looks == "intake":
            ours.look()
        else:
            asking("login", "anna")

    assert not emptied(look)
    note_erasure(vault, NOW_US)
    assert emptied(look)
    assert not emptied(look)
    assert asking("login", "ottilie") == before
