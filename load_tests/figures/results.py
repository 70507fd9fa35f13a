"""results.json: the last full measurement of every figure, each with its machine and day."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load_tests.figures.model import SPECS, Measured

RESULTS = Path(__file__).parents[1] / "results.json"


def keep(measured: Sequence[Measured], machine: dict[str, object], path: Path = RESULTS) -> None:
    """Put these figures in place of what the file says of them, with the machine they are from."""
    told = _read(path)
    by_name = {one.name: one for one in measured}
    for spec in SPECS:
        if spec.name in by_name:
            told[spec.name] = {**by_name[spec.name].as_json(spec), "machine": machine}
    ordered = {spec.name: told[spec.name] for spec in SPECS if spec.name in told}
    written = path.with_suffix(".new")
    written.write_text(json.dumps({"figures": ordered}, indent=2, ensure_ascii=False) + "\n")
    # Interrupted, it leaves the old results.
    os.replace(written, path)  # noqa: PTH105 - the same, and one word


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    figures = json.loads(path.read_text("utf-8"))["figures"]
    assert isinstance(figures, dict)
    return figures


def in_words(measured: Sequence[Measured], *, judged: bool) -> str:
    """A table of the figures, one a line; what was measured beside each follows indented."""
    lines = []
    by_name = {one.name: one for one in measured}
    for spec in SPECS:
        if spec.name not in by_name:
            continue
        told = by_name[spec.name].as_json(spec)
        lines.append(f"{spec.name:26} {_spread(told)} {spec.unit}{_verdict(told, judged)}")
        beside = told["beside"]
        assert isinstance(beside, dict)
        lines += [f"  {name:24} {_spread(spread)}" for name, spread in beside.items()]
    return "\n".join(lines)


def _verdict(told: dict[str, object], judged: bool) -> str:
    if not judged:
        return ""
    return f"   {'met' if told['met'] else 'missed'}: {told['target']}"


def _spread(told: dict[str, Any]) -> str:
    return f"{told['median']:>10,g}  ({told['min']:,g} to {told['max']:,g})"
