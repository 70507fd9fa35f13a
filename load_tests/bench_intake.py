"""CPU time from a signal's bytes to its contribution, per signal, in one process.

    python -m load_tests.bench_intake [--signals 20000]

The stream is a mix as sources send it: page views, log-ins and sightings of
devices with a log-in, user agent (1,000 different) and network address; four
signals in five repeat identifiers seen before, and one in twenty brings a phone
or an e-mail never seen. `json` and `protobuf` are the same signals; `repeat` is
the stream taken once more, when every value is known.
"""

from __future__ import annotations

import argparse
import os
import random
import time
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path

import orjson
from google.protobuf import json_format

from identity.policy import parse
from ingest.intake import Intake, Outcome
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2
from profiles.sealing import Sealer
from profiles.vault_memory import MemoryVault

POLICY = Path(__file__).parent.parent / "kinfold" / "default_policy.toml"
RECEIVED_US = 1_790_000_000_000_000


def main() -> None:
    """Print microseconds of CPU time per signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=20_000)
    count = parser.parse_args().signals
    lines = stream(count)
    messages = [json_format.Parse(line, signal_pb2.Signal()).SerializeToString() for line in lines]
    for name, inputs in (("json", lines), ("protobuf", messages)):
        intake = fresh_intake()
        take = intake.from_json if name == "json" else intake.from_protobuf
        print(f"{name:9} {measured(take, inputs):6.1f} us per signal")
        print(f"{name:9} {measured(take, inputs):6.1f} us per signal, repeat")


def fresh_intake() -> Intake:
    """An intake with empty caches under the policy kinfold starts with."""
    policy = parse(tomllib.loads(POLICY.read_text()))
    vault = MemoryVault(os.urandom)
    sealer = Sealer(vault, os.urandom)
    return Intake(policy, vault.token_keys(), vault.order_key(), sealer)


def measured(take: Callable[[bytes, int], Outcome], inputs: list[bytes]) -> float:
    """Microseconds of CPU time per input; a rejected one would be a fault of the stream."""
    begun = time.process_time()
    rejected = [one for data in inputs if isinstance(one := take(data, RECEIVED_US), Rejected)]
    spent = time.process_time() - begun
    assert not rejected, rejected[0]
    return spent * 1e6 / len(inputs)


def stream(count: int) -> list[bytes]:
    """Signals in proto JSON, the same every time."""
    draw = random.Random(7)
    agents = [_agent(draw) for _ in range(1_000)]
    people = max(1, count // 10)
    return [_line(draw, index, people, agents) for index in range(count)]


def _agent(draw: random.Random) -> str:
    system = draw.choice(
        [
            "Windows NT 10.0; Win64; x64",
            "X11; Linux x86_64",
            f"Linux; Android {draw.randrange(9, 15)}; Pixel {draw.randrange(3, 9)}",
            "Macintosh; Intel Mac OS X 10_15_7",
        ]
    )
    chrome = (
        f"Chrome/{draw.randrange(90, 130)}.0.{draw.randrange(4000, 7000)}.{draw.randrange(200)}"
    )
    return f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) {chrome} Safari/537.36"


def _line(draw: random.Random, index: int, people: int, agents: list[str]) -> bytes:
    person = draw.randrange(people)
    device = f"d-{person:06}-{draw.randrange(2)}"
    identifiers = [
        {"kind": "device", "value": device},
        {"kind": "login", "value": f"user{person}@kinfold.io"},
    ]
    kind = draw.random()
    if kind < 0.025:
        identifiers.append({"kind": "phone", "value": f"+4179{draw.randrange(2_000_000, 10**7)}"})
    elif kind < 0.05:
        identifiers.append({"kind": "email", "value": f"p{index}@mail.kinfold.io"})
    content: dict[str, dict[str, str]] = {"loggedIn": {"method": "password"}}
    if kind < 0.9:
        view = {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport/running", "channel": "web"}
        content = {"behaviour": view}
    return orjson.dumps(
        {
            "source": "web",
            "signalId": f"s-{index}",
            "eventTime": f"2026-03-{index % 28 + 1:02}T12:{index % 60:02}:07.25Z",
            "assurance": "ASSURANCE_AUTHENTICATED",
            "identifiers": identifiers,
            "context": {
                "userAgent": agents[zlib.crc32(device.encode()) % 1_000],
                "networkAddress": f"10.{person % 200}.{person % 7}.1",
                "timeZone": "Europe/Zurich",
                "locale": "de-CH",
            },
            **content,
        }
    )


if __name__ == "__main__":
    main()
