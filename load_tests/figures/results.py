"""results.json: the last full measurement of every figure, each with its machine and day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from load_tests.figures.model import SPECS, Measured

RESULTS = Path(__file__).parents[1] / "results.json"
README = RESULTS.with_name("README.md")
TABLE_BEGIN, TABLE_END = "<!-- results -->\n", "<!-- end of results -->\n"


def keep(
    measured: Sequence[Measured],
    machine: dict[str, object],
    path: Path = RESULTS,
    readme: Path = README,
) -> None:
    """Put these figures in place of what both files say of them, with the machine they are from."""
    told = _read(path)
    by_name = {one.name: one for one in measured}
    for spec in SPECS:
        if spec.name in by_name:
            told[spec.name] = {**by_name[spec.name].as_json(spec), "machine": machine}
    ordered = {spec.name: told[spec.name] for spec in SPECS if spec.name in told}
    _replace(path, json.dumps({"figures": ordered}, indent=2, ensure_ascii=False) + "\n")
    before, _, rest = readme.read_text("utf-8").partition(TABLE_BEGIN)
    after = rest.partition(TABLE_END)[2]
    _replace(readme, before + TABLE_BEGIN + _table(ordered) + TABLE_END + after)


def _replace(path: Path, text: str) -> None:
    """Interrupted, it leaves what was there."""
    written = path.with_name(path.name + ".new")
    written.write_text(text, "utf-8")
    written.replace(path)


def _table(told: Mapping[str, Any]) -> str:
    lines = ["| figure | median | least to most | target | | measured |", "|" + " --- |" * 6]
    for name, one in told.items():
        spread = f"{one['min']:,g} to {one['max']:,g}"
        verdict = "met" if one["met"] else "**missed**"
        machine = one["machine"]
        where = f"{machine['at'][:10]}, {machine['cores']} cores, {machine['processor']}"
        value = f"{one['median']:,g} {one['unit']}"
        lines.append(f"| `{name}` | {value} | {spread} | {one['target']} | {verdict} | {where} |")
    return "\n".join(lines) + "\n"


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
