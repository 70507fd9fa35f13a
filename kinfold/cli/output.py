"""What every verb prints the same way: errors with hints, JSON, progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

OK, FAILED, ASKED_WRONGLY = 0, 1, 2


def fail(error: str, hint: str, code: int = FAILED) -> int:
    """Print what went wrong and the way out; the exit code to return."""
    print(f"error: {error}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code


def warn(warning: str, hint: str) -> None:
    """Print what is probably not meant, and the way out; the verb goes on."""
    print(f"warning: {warning}", file=sys.stderr)
    print(f"hint: {hint}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() + "\n")
    sys.stdout.flush()


class Advance(Protocol):
    """Tells a progress bar how far it is."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """`done` so far, of `total` when known."""


@contextmanager
def progress(words: str, total: int | None, quiet: bool = False) -> Iterator[Advance]:
    """A progress bar on the error stream when it is a terminal, else nothing."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(words, total=total)

        def advance(done: int, total: int | None = None) -> None:
            if total is not None:
                bar.update(task, total=total)
            bar.update(task, completed=done)

        yield advance
