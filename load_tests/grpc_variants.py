"""Which way of serving costs least: CPU time of a server per call that answers constant bytes.

    python -m load_tests.grpc_variants [--run-s 5] [--rounds 3]

Run it under the grpcio release in question. `threads` are handlers on threads,
`loop` handlers on an event loop (on uvloop where it is installed); `pinned`
keeps the server on one core. The least of
the rounds counts, since whatever else the machine does only adds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from load_tests.grpc_server_process import (
    spent,
    started,
    streamed,
    tell_cpu_until_input_ends,
    unary,
)

ANSWER = bytes(1_400)
REQUEST = bytes(60)
VARIANTS = ("threads", "threads pinned", "loop", "loop pinned", "threads stream", "loop stream")
MODULE = "load_tests.grpc_variants"


def main() -> None:
    """Print microseconds of CPU time per call, by variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-s", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", choices=("threads", "loop"), help=argparse.SUPPRESS)
    parser.add_argument("--pinned", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        _serve(arguments.serve, arguments.pinned)
        return
    print(f"grpcio {grpc.__version__}")
    least: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for variant in VARIANTS:
            cpu_us = _measured(variant, arguments.run_s)
            least[variant] = min(cpu_us, least.get(variant, cpu_us))
    for variant, cpu_us in least.items():
        print(f"{variant:16} {cpu_us:7.1f} us")


def _measured(variant: str, run_s: float) -> float:
    where, _, how = variant.partition(" ")
    pinned = ["--pinned"] if how == "pinned" else []
    with (
        started([MODULE, "--serve", where, *pinned]) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        ask = (
            streamed(channel, "/V/S", [REQUEST])
            if how == "stream"
            else unary(channel, "/V/U", [REQUEST])
        )
        spent(server, ask, 0.5)
        return spent(server, ask, run_s).cpu_us


def _serve(where: str, pinned: bool) -> None:
    if pinned:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if where == "threads":
        _on_threads()
    else:
        with contextlib.suppress(ImportError):
            import uvloop  # type: ignore[import-not-found]  # noqa: PLC0415

            uvloop.install()
        asyncio.run(_on_loop())


def _on_threads() -> None:
    def answer(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return ANSWER

    def answers(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in requests:
            yield ANSWER

    server = grpc.server(ThreadPoolExecutor(32))
    handlers = {
        "U": grpc.unary_unary_rpc_method_handler(answer),
        "S": grpc.stream_stream_rpc_method_handler(answers),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("V", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    tell_cpu_until_input_ends(port)
    server.stop(0).wait()


async def _on_loop() -> None:
    async def answer(_request: bytes, _context: object) -> bytes:
        return ANSWER

    async def answers(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for _ in requests:
            yield ANSWER

    server = grpc.aio.server()
    handlers = {
        "U": grpc.unary_unary_rpc_method_handler(answer),
        "S": grpc.stream_stream_rpc_method_handler(answers),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("V", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await asyncio.get_running_loop().run_in_executor(None, tell_cpu_until_input_ends, port)
    await server.stop(0)


if __name__ == "__main__":
    main()
