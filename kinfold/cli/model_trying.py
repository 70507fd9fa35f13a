"""`kinfold model compare`, `explain` and `review`: what models make of a file's records."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from identity.matching.drawing import svg
from identity.matching.model import MatchModel
from identity.matching.partitions import Change, Compared, compare
from identity.matching.review import Scored, case_json, case_lines, queue
from identity.matching.score import Scorer
from identity.matching.verdict import verdict
from identity.matching.waterfall import sentence, terminal, waterfall_json
from kinfold.cli.model_desk import Desk, mapped, source_of
from kinfold.cli.output import OK, print_json, progress
from kinfold.evaluate.reading import NotEvaluable
from kinfold.modelling.resolving import Resolved, resolve
from kinfold.modelling.sources import Source, file_source
from kinfold.models import RECORDS

_EXAMPLES_SHOWN = 5
_MOST_NAMED = 8
"""Records of one person that an example names."""


def columns() -> int:
    """How wide to print: the terminal's width, or 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80


# ---- comparing --------------------------------------------------------------


def compare_models(args: argparse.Namespace, desk: Desk) -> int:
    """Resolve the same records under both models and say what becomes of the people."""
    pins = [desk.named(args.before), desk.named(args.after)]
    models = [desk.models.load(RECORDS, pin) for pin in pins]
    source = source_of(args, desk)
    resolved = []
    for model, words in zip(models, ("resolving: before", "resolving: after"), strict=True):
        with progress(words, len(source.records), args.json) as advance:
            resolved.append(resolve(source.records, model, desk.key, advance))
    before, after = resolved
    found = compare(before.people, after.people)
    told = {
        "before": {"model": pins[0], **_counts(models[0], before)},
        "after": {"model": pins[1], **_counts(models[1], after)},
        "records": found.records,
        "unchanged": found.unchanged,
        "merged": _kind(found.merged, source),
        "split": _kind(found.split, source),
        "regrouped": _kind(found.regrouped, source),
        "churn": {"records": found.churn, "share": round(found.churn / found.records, 4)},
    }
    if args.json:
        print_json(told)
    else:
        print("\n".join(_compared_lines(told, found, source)))
    return OK


def _counts(model: MatchModel, resolved: Resolved) -> dict[str, int]:
    linked = resolved.probability >= model.link
    return {
        "people": len(resolved.people),
        "link": int(linked.sum()),
        "review": int(((resolved.probability >= model.review) & ~linked).sum()),
    }


def _kind(changes: tuple[Change, ...], source: Source) -> dict[str, Any]:
    return {
        "people_before": sum(len(own.before) for own in changes),
        "people_after": sum(len(own.after) for own in changes),
        "records": sum(own.records for own in changes),
        "examples": [
            {"before": _named(own.before, source), "after": _named(own.after, source)}
            for own in changes[:_EXAMPLES_SHOWN]
        ],
    }


def _named(people: tuple[tuple[int, ...], ...], source: Source) -> list[list[str]]:
    return [[source.names[record] for record in person] for person in people]


def _compared_lines(told: dict[str, Any], found: Compared, source: Source) -> list[str]:
    lines = [
        f"{side:7}{told[side]['model']}  {told[side]['people']:,} people,"
        f" {told[side]['link']:,} pairs to link, {told[side]['review']:,} to review"
        for side in ("before", "after")
    ]
    lines.append(f"unchanged   {found.unchanged:,} people")
    for kind, changes in (
        ("merged", found.merged), ("split", found.split), ("regrouped", found.regrouped),
    ):  # fmt: skip
        own = told[kind]
        lines.append(
            f"{kind:12}{own['people_before']:,} people became {own['people_after']:,}"
            f" ({own['records']:,} records)"
        )
        lines += [f"  {_said(change, source)}" for change in changes[:_EXAMPLES_SHOWN]]
    share = told["churn"]["share"]
    return [*lines, f"churn       {found.churn:,} of {found.records:,} records ({share:.2%})"]


def _said(change: Change, source: Source) -> str:
    return f"{_people(change.before, source)}  →  {_people(change.after, source)}"


def _people(people: tuple[tuple[int, ...], ...], source: Source) -> str:
    told = []
    for person in people:
        names = [source.names[record].removeprefix("row ") for record in person[:_MOST_NAMED]]
        more = f" +{len(person) - _MOST_NAMED}" if len(person) > _MOST_NAMED else ""
        told.append(f"({' '.join(names)}{more})")
    return " ".join(told)


# ---- explaining -------------------------------------------------------------


def explain(args: argparse.Namespace, desk: Desk) -> int:
    """Show the match weight of two rows as a waterfall."""
    pin = desk.named(args.model)
    model = desk.models.load(RECORDS, pin)
    source = file_source(args.file, mapped(args))
    for row in (args.left, args.right):
        if not 1 <= row <= len(source.records):
            raise NotEvaluable(f"row {row}: the file has rows 1 to {len(source.records)}")
    scorer = Scorer(model, desk.key)
    left, right = (scorer.prepare(source.records[row - 1]) for row in (args.left, args.right))
    bars = scorer.explain(left, right)
    mbits = scorer.weigh(left, right)
    probability = model.probability(mbits)
    compared = not {*left.keys}.isdisjoint(right.keys)
    said = sentence(bars, probability)
    if args.svg:
        _draw(args.svg, svg(bars, f"Rows {args.left} and {args.right} under model {pin}"))
    if args.json:
        told = {"model": pin, "verdict": verdict(model, mbits), "probability": probability}
        print_json({**told, "share_a_block": compared, "sentence": said, **waterfall_json(bars)})
        return OK
    print("\n".join(terminal(bars, columns())))
    print(textwrap.fill(said, columns()))
    print(f"verdict: {verdict(model, mbits)}")
    if not compared:
        print("the two share no blocking key, so they would never be compared")
    return OK


def _draw(path: Path, drawing: str) -> None:
    path.write_text(drawing, "utf-8")


# ---- reviewing --------------------------------------------------------------


def review(args: argparse.Namespace, desk: Desk) -> int:
    """List the pairs of a file that the model neither links nor leaves."""
    model = desk.models.load(RECORDS, desk.named(args.model))
    source = file_source(args.file, mapped(args))
    with progress("resolving", len(source.records), args.json) as advance:
        resolved = resolve(source.records, model, desk.key, advance)
    doubtful = (resolved.probability >= model.review) & (resolved.probability < model.link)
    waiting = np.flatnonzero(doubtful)
    ranked = waiting[np.argsort(-resolved.mbits[waiting], kind="stable")][: args.limit]
    cases = queue(_scored(ranked.tolist(), resolved, source, Scorer(model, desk.key)), model)
    if args.json:
        print_json({"waiting": len(waiting), "cases": [case_json(case) for case in cases]})
        return OK
    for number, case in enumerate(cases, 1):
        print("\n".join([*case_lines(case, number, columns()), ""]))
    print(f"{len(waiting):,} pairs to review, {len(cases):,} shown")
    return OK


def _scored(
    places: list[int], resolved: Resolved, source: Source, scorer: Scorer
) -> Iterator[Scored]:
    for at in places:
        ends = (int(resolved.left[at]), int(resolved.right[at]))
        left, right = (scorer.prepare(source.records[end]) for end in ends)
        low, high = (source.names[end] for end in ends)
        yield Scored(low, high, int(resolved.mbits[at]), scorer.explain(left, right))
