"""A gRPC server in a process of its own, its CPU time, and callers that keep it busy."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO

import grpc

CALLERS = 16
Ask = Callable[[int], object]
"""Makes the n-th call of a caller."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that prints its port, then its CPU time in seconds for every line it is sent."""

    port: int
    _told: IO[str]
    _asked: IO[str]

    def cpu_s(self) -> float:
        """CPU time of the whole process, kernel included, since its start."""
        self._asked.write("cpu\n")
        self._asked.flush()
        return float(self._told.readline())


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls cost: the server's CPU time per call, and how many there were a second."""

    cpu_us: float
    per_s: float


@contextmanager
def started(arguments: Sequence[str]) -> Iterator[ServerProcess]:
    """`python -m arguments…` as a server; ends when its input does."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield ServerProcess(int(process.stdout.readline()), process.stdout, process.stdin)
        process.stdin.close()


def tell_cpu_until_input_ends(port: int) -> None:
    """The server's side of `ServerProcess`: blocks until whoever started it is done."""
    print(port, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def spent(server: ServerProcess, ask_of: Callable[[int], Ask], run_s: float) -> Spent:
    """Keep `CALLERS` callers asking for `run_s`; the n-th asks by ``ask_of(n)``."""
    until = time.monotonic() + run_s
    calls = [0] * CALLERS

    def caller(number: int) -> None:
        ask = ask_of(number)
        while time.monotonic() < until:
            ask(calls[number])
            calls[number] += 1

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    cpu_s, began_s = server.cpu_s(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_s, took_s = server.cpu_s() - cpu_s, time.monotonic() - began_s
    return Spent(cpu_s / sum(calls) * 1e6, sum(calls) / took_s)


def unary(channel: grpc.Channel, path: str, requests: Sequence[bytes]) -> Callable[[int], Ask]:
    """Callers that go through the requests, one unary call each."""
    method = channel.unary_unary(path, _as_is, _as_is)
    return lambda number: lambda call: method(requests[(number + call) % len(requests)])


def streamed(channel: grpc.Channel, path: str, requests: Sequence[bytes]) -> Callable[[int], Ask]:
    """Callers with a stream each, who ask one thing after the other over it."""
    method = channel.stream_stream(path, _as_is, _as_is)

    def ask_of(number: int) -> Ask:
        asked: SimpleQueue[bytes] = SimpleQueue()
        answers: Iterator[bytes] = iter(method(iter(asked.get, b"")))

        def ask(call: int) -> bytes:
            asked.put(requests[(number + call) % len(requests)])
            return next(answers)

        return ask

    return ask_of


def _as_is(message: bytes) -> bytes:
    return message
