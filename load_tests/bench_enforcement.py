"""What holding callers and consent adds to a lookup: `python -m load_tests.bench_enforcement`.

Inside the handler of a real gRPC server, in CPU microseconds per lookup, in
turns: a lookup that answers with the whole profile to anybody; one with all
that enforces (who calls, by client certificate, what they may call and how
often, which sections purposes, consent and rights allow); and one that also
counts the people told of. All answer the same bytes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import orjson

from identity.naming import Naming
from identity.refused import Refused
from identity.tokens import Tokens
from load_tests.bench_lookup import PURPOSES, fill, profile_policy
from profiles.access import Access, unlimited
from profiles.lookup import Lookup, _varint
from profiles.people_quota import PeopleQuotas
from profiles.purposes import PurposePolicy
from profiles.read_view import HEAD, ReadView
from profiles.sealing import Sealer
from profiles.serve.callers import Callers
from profiles.serve.calls import Context
from profiles.serve.guard import Guard
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject
from profiles.vault_memory import MemoryVault
from tests.support.certificates import Authority
from tests.support.grpc_calls import raw_method
from tests.support.rights import CERTIFIED

METHOD = "profiles.v1.ProfileService/GetProfile"
_MAX_SILENCE_MS = 3_600_000
_ROUNDS = 15
_ENOUGH = 1_000_000

Way = Callable[[bytes, Context], bytes | Refused]


class _Open(Lookup):
    """Answers with whole profiles, whoever asks and for whatever."""

    def _answer(self, found: Any, plan: Any, fresh: Any, min_version: int, grant: Any) -> bytes:  # noqa: ARG002  as the method that it stands for
        person, value, asked = found
        *_, layout_size, reply_size, sealed_size = HEAD.unpack_from(value)
        reply_at = HEAD.size + layout_size
        sealed_at = reply_at + reply_size
        sealed = value[sealed_at : sealed_at + sealed_size]
        opened = self._keys.open(sealed, person + value[HEAD.size : reply_at])
        return b"".join(
            (b"\x0a", _varint(len(opened)), opened, value[reply_at:sealed_at], fresh.told, asked)
        )


def measure(people: int) -> dict[str, float]:
    """CPU microseconds per lookup: what enforcement adds, what counting people adds to that, and
    the two lookups that the first is the difference of.
    """
    vault = MemoryVault(os.urandom)
    sealer = Sealer(vault, os.urandom)
    policy = profile_policy()
    naming = Naming(policy.identity, Tokens(vault.token_keys(), vault.order_key()), "CH")
    with tempfile.TemporaryDirectory() as folder:
        view = ReadView(Path(folder) / "view")
        ids, _ = fill(view, sealer, people, 20)

        def make(people: PeopleQuotas | None, kind: type[Lookup] = Lookup) -> Lookup:
            return kind(view, sealer, policy.purposes, naming, _MAX_SILENCE_MS, people)

        told = _in_a_server(
            {
                "bare": _bare(make(None, _Open), policy.purposes),
                "enforced": _enforced(make, _engine(policy.purposes)),
                "counted": _enforced(make, _engine(policy.purposes, people_per_day=people)),
            },
            [_lookup_of(person) for person in ids],
        )
        view.close()
    return {
        "enforcement_us": _difference(told["enforced"], told["bare"]),
        "people_quota_us": _difference(told["counted"], told["enforced"]),
        "lookup_enforced_us": median(told["enforced"]),
        "lookup_bare_us": median(told["bare"]),
    }


def _lookup_of(person: str) -> bytes:
    request = GetProfileRequest(subject=Subject(person_id=person), purposes=PURPOSES)
    return request.SerializeToString()


def _difference(more: Sequence[float], less: Sequence[float]) -> float:
    """The median over rounds, each of which measured both."""
    return median(one - other for one, other in zip(more, less, strict=True))


def _engine(policy: PurposePolicy, people_per_day: int = 0) -> Access:
    (local,) = unlimited(policy).callers
    grant = local.grant._replace(caller="engine", people_per_day=people_per_day)
    engine = replace(local, name="engine", grant=grant, certificate=CERTIFIED, per_second=_ENOUGH)
    return Access((engine,))


def _bare(lookup: Lookup, policy: PurposePolicy) -> Way:
    grant = unlimited(policy).callers[0].grant

    def way(request: bytes, _context: Context) -> bytes | Refused:
        return lookup.get_serialized(request, time.time_ns() // 1_000, grant)

    return way


def _enforced(make: Callable[[PeopleQuotas], Lookup], access: Access) -> Way:
    people = PeopleQuotas(access, os.urandom(32), lambda: time.time_ns() // 1_000)
    lookup = make(people)
    guard = Guard(Callers(access, secured=True), METHOD)

    def way(request: bytes, context: Context) -> bytes | Refused:
        grant = guard(context)
        assert not isinstance(grant, Refused), grant
        return lookup.get_serialized(request, time.time_ns() // 1_000, grant)

    return way


def _in_a_server(ways: Mapping[str, Way], requests: list[bytes]) -> dict[str, list[float]]:
    """Each way's CPU microseconds per lookup in each round, inside a handler over TLS."""

    def handler(_: bytes, context: Context) -> bytes:
        answers = {len(way(requests[0], context)) for way in ways.values()}  # type: ignore[arg-type]
        assert len(answers) == 1, "all ways answer the same"
        return orjson.dumps(_rounds(ways, requests, context))

    authority = Authority("load test")
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = authority.issue_to(Path(folder), "kinfold")
        pair = (key.read_bytes(), certificate.read_bytes())
    ours = grpc.ssl_server_credentials([pair], authority.pem, require_client_auth=True)
    theirs = grpc.ssl_channel_credentials(authority.pem, *authority.issue(CERTIFIED))
    service, _, method = METHOD.partition("/")
    methods = {method: grpc.unary_unary_rpc_method_handler(handler)}
    with ThreadPoolExecutor(1) as threads:
        served = [grpc.method_handlers_generic_handler(service, methods)]
        server = grpc.server(threads, handlers=served)
        port = server.add_secure_port("127.0.0.1:0", ours)
        server.start()
        with grpc.secure_channel(f"127.0.0.1:{port}", theirs) as channel:
            told = raw_method(channel, f"/{METHOD}")(b"", timeout=120)
        server.stop(0).wait()
    found = orjson.loads(told)
    assert isinstance(found, dict)
    return found


def _rounds(
    ways: Mapping[str, Way], requests: list[bytes], context: Context
) -> dict[str, list[float]]:
    spent_us: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(_ROUNDS):
        # Who begins changes, so that none is always the one that warms what all use.
        names = sorted(ways, reverse=bool(number % 2))
        for name in names:
            way = ways[name]
            begun_s = time.thread_time()
            for request in requests:
                way(request, context)
            spent_us[name].append((time.thread_time() - begun_s) / len(requests) * 1e6)
    return spent_us


if __name__ == "__main__":
    for label, figure in measure(2_000).items():
        print(f"{label:20} {figure:6.2f}")
