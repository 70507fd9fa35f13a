"""CPU time of the whole server per lookup: `python -m load_tests.bench_grpc [--run-s 5]`.

Sixteen callers ask a server in a process of its own; every lookup is about
another person. Beside it stands a server of the same gRPC settings that
answers constant bytes of the same length without looking at the request. Both
take turns in each round; the median of the rounds counts.

- `lookup_cpu_us`, `lookup_constant_cpu_us`: per unary lookup.
- `lookup_stream_cpu_us`: per lookup over one stream per caller.
- `lookup_batch_cpu_us`, `lookup_batch_constant_cpu_us`, `lookup_batch_ratio`:
  per batch of 100, and one by the other.
- `lookup_per_s`: unary lookups a second; callers share the cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import grpc

from identity.naming import Naming
from identity.tokens import Tokens
from load_tests.bench_lookup import PURPOSES, fill, profile_policy
from load_tests.grpc_server_process import (
    Spent,
    spent,
    started,
    streamed,
    tell_cpu_until_input_ends,
    unary,
)
from load_tests.sample_people import sample_person
from profiles.access import unlimited
from profiles.lookup import Lookup
from profiles.read_view import ReadView
from profiles.sealing import Sealer
from profiles.serve.options import ServeOptions
from profiles.serve.server import ProfileServer
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    StreamProfilesRequest,
    Subject,
)
from profiles.vault_memory import MemoryVault

MODULE = "load_tests.bench_grpc"
SERVICE = "/profiles.v1.ProfileService/"
BATCH = 100
PEOPLE = 2_000
CATEGORIES = 20
"""So many make an answer of about 1.4 KB."""
MAX_SILENCE_MS = 3_600_000


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-s", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, help="keep the servers on this core")
    parser.add_argument("--serve", choices=("profiles", "constant"), help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve == "profiles":
        _serve_profiles(ServeOptions(address="127.0.0.1:0", core=arguments.core))
    elif arguments.serve == "constant":
        get_bytes, batch_bytes = arguments.sizes
        _serve_constant(get_bytes, batch_bytes, arguments.core)
    else:
        for name, figure in measure(arguments.run_s, arguments.rounds, arguments.core).items():
            print(f"{name:30} {figure:9.2f}")


def measure(run_s: float = 5.0, rounds: int = 3, core: int | None = None) -> dict[str, float]:
    """The figures by name, from `rounds` rounds of five runs of `run_s` each."""
    kept = [] if core is None else ["--core", str(core)]
    subjects = _subjects()
    single, batch = _singles(subjects), _batches(subjects)
    with started([MODULE, "--serve", "profiles", *kept]) as ours, _to(ours.port) as channel:
        get = unary(channel, SERVICE + "GetProfile", single)
        many = unary(channel, SERVICE + "BatchGetProfiles", batch)
        stream = streamed(channel, SERVICE + "StreamProfiles", _streamed(single))
        sizes = [str(len(_bytes(ask(0)(0)))) for ask in (get, many)]
        with (
            started([MODULE, "--serve", "constant", "--sizes", *sizes, *kept]) as constant,
            _to(constant.port) as other,
        ):
            constant_get = unary(other, SERVICE + "GetProfile", single)
            constant_many = unary(other, SERVICE + "BatchGetProfiles", batch)
            runs: dict[str, Callable[[], Spent]] = {
                "lookup": lambda: spent(ours, get, run_s),
                "lookup_constant": lambda: spent(constant, constant_get, run_s),
                "lookup_stream": lambda: spent(ours, stream, run_s),
                "lookup_batch": lambda: spent(ours, many, run_s),
                "lookup_batch_constant": lambda: spent(constant, constant_many, run_s),
            }
            for run in runs.values():
                run()
            found = [{name: run() for name, run in runs.items()} for _ in range(rounds)]
    figures = {f"{name}_cpu_us": median(one[name].cpu_us for one in found) for name in runs}
    figures["lookup_batch_ratio"] = median(
        one["lookup_batch"].cpu_us / one["lookup_batch_constant"].cpu_us for one in found
    )
    figures["lookup_per_s"] = median(one["lookup"].per_s for one in found)
    figures["lookup_answer_bytes"] = float(sizes[0])
    return figures


def _subjects() -> list[Subject]:
    sealer = Sealer(MemoryVault(os.urandom), os.urandom)
    people = (sample_person(seed, sealer, categories=CATEGORIES) for seed in range(PEOPLE))
    return [Subject(person_id=one.person) for one in people]


def _singles(subjects: Sequence[Subject]) -> list[bytes]:
    return [
        GetProfileRequest(subject=subject, purposes=PURPOSES).SerializeToString()
        for subject in subjects
    ]


def _streamed(singles: Sequence[bytes]) -> list[bytes]:
    return [
        StreamProfilesRequest(lookup=GetProfileRequest.FromString(one)).SerializeToString()
        for one in singles
    ]


def _batches(subjects: Sequence[Subject]) -> list[bytes]:
    return [
        BatchGetProfilesRequest(
            subjects=subjects[at : at + BATCH], purposes=PURPOSES
        ).SerializeToString()
        for at in range(0, len(subjects), BATCH)
    ]


def _to(port: int) -> grpc.Channel:
    return grpc.insecure_channel(f"127.0.0.1:{port}")


def _bytes(answer: object) -> bytes:
    assert isinstance(answer, bytes)
    return answer


def _serve_profiles(options: ServeOptions) -> None:
    vault = MemoryVault(os.urandom)
    sealer = Sealer(vault, os.urandom)
    with tempfile.TemporaryDirectory() as folder:
        view = ReadView(Path(folder))
        fill(view, sealer, PEOPLE, CATEGORIES)
        policy = profile_policy()
        naming = Naming(policy.identity, Tokens(vault.token_keys(), vault.order_key()))
        lookup = Lookup(view, sealer, policy.purposes, naming, MAX_SILENCE_MS)
        server = ProfileServer(options, lookup, access=unlimited(policy.purposes), ready=True)
        tell_cpu_until_input_ends(server.start())
        server.stop(0)
        view.close()


def _serve_constant(get_bytes: int, batch_bytes: int, core: int | None) -> None:
    def constant(answer: bytes) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)

    if core is not None:
        os.sched_setaffinity(0, {core})
    handlers = {
        "GetProfile": constant(bytes(get_bytes)),
        "BatchGetProfiles": constant(bytes(batch_bytes)),
    }
    server = grpc.server(ThreadPoolExecutor(ServeOptions().threads))
    name = SERVICE.strip("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    tell_cpu_until_input_ends(port)
    server.stop(0).wait()


if __name__ == "__main__":
    main()
