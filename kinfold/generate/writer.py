"""Writing a cohort into a folder, for `kinfold ingest` and for judging the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from kinfold.generate.cohort import cohort
from kinfold.generate.spec import CohortSpec
from kinfold.generate.truth import write_rows

SIGNALS = "signals.jsonl"
TRUTH = "truth.csv"
SUMMARY = "summary.json"

_LINES_A_WRITE = 2_000

Progress = Callable[[float, int], None]
"""Told now and then which share is done, and how many signals that is."""


def write(spec: CohortSpec, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write signals.jsonl (in order of arrival), truth.csv and summary.json; return the summary.

    Each file appears under its name only when it is whole. Same spec, same
    bytes. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    signals, truth = cohort(spec)
    lines: list[bytes] = []
    written = 0
    with _whole(folder / SIGNALS) as part, part.open("wb") as file:
        for signal in signals:
            lines.append(orjson.dumps(signal, option=orjson.OPT_APPEND_NEWLINE))
            if len(lines) == _LINES_A_WRITE:
                file.write(b"".join(lines))
                written += len(lines)
                lines.clear()
                progress(truth.share_done, written)
        file.write(b"".join(lines))
    progress(1.0, written + len(lines))
    with _whole(folder / TRUTH) as part, part.open("w", encoding="utf-8", newline="") as text:
        write_rows(truth.rows(), text)
    summary = {"spec": asdict(spec), **truth.summary()}
    layout = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    with _whole(folder / SUMMARY) as part:
        part.write_bytes(orjson.dumps(summary, option=layout))
    return summary


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Where to write a file that takes its name when that went without an error."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
