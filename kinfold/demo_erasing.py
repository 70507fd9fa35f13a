"""The demo's last part: somebody asks to be forgotten, and a late signal of theirs comes in."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import grpc
import orjson

from kinfold.demo import PURPOSES, Engine, Parts, Say, with_login
from kinfold.generate.truth import read_rows
from kinfold.privacy_places import open_erasing
from kinfold.serving import open_server
from kinfold.wiring import namer, open_tokens
from profiles.privacy import Erased

LATE = "late.jsonl"


def erase_one(parts: Parts, truth: Path, say: Say) -> None:
    """Erase whoever is known by most, and take in what was on its way."""
    known = max(with_login(read_rows(truth)), key=lambda kinds: (len(kinds), kinds["login"]))
    login = known["login"]
    name_of = namer(parts.settings, parts.policies, open_tokens(parts.vault))
    key = name_of("login", login)
    assert key is not None, "a login of the cohort is one"
    person = parts.store.person_of([key])[key]
    with open_erasing(
        parts.settings, parts.policies, parts.vault, parts.store, settle_up=parts.settle
    ) as erasing:
        say(f"login of person {person[:8]}… asks to be forgotten")
        for line in _told(erasing.erase("demo", person)):
            say(line)
    late = truth.with_name(LATE)
    late.write_bytes(_late(login))
    count = parts.stream_in(late, lambda _: None)
    say(f"  a signal of theirs comes late: {count.counted} count, {count.erased} name them")
    say(f"  a decision engine asks for their login: {_asked(parts, login)}")


def _told(erased: Erased) -> list[str]:
    assert erased.scope is not None, "it was not erased before"
    fenced, kept = len(erased.scope.fenced), len(erased.scope.kept)
    lines = [f"  {fenced} identifiers and records are theirs alone, {kept} stay with others"]
    for one in erased.stores:
        removed = f", {one.removed} removed" if one.removed else ""
        why = f": {one.reason}" if one.reason else ""
        lines.append(f"  {one.store}: {one.status}{removed}{why}")
    return lines


def _late(login: str) -> bytes:
    signal = {
        "source": "app",
        "signalId": "late",
        "eventTime": "2026-01-15T12:00:00Z",
        "identifiers": [
            {"kind": "login", "value": login},
            {"kind": "device", "value": "a device never seen"},
        ],
        "loggedIn": {},
    }
    return orjson.dumps(signal) + b"\n"


def _asked(parts: Parts, login: str) -> str:
    with ExitStack() as stack:
        server = open_server(parts.settings, parts.policies, parts.vault, parts.view)
        port = server.start()
        stack.callback(server.stop, 1.0)
        server.set_ready(True)
        engine = Engine(f"127.0.0.1:{port}", stack)
        found = engine.look_up("login", login, PURPOSES)
        return grpc.StatusCode.NOT_FOUND.name if found is None else found.answer.person_id
