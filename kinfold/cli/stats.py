"""`kinfold stats`: how well identity works, at a glance."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import polars as pl

from kinfold.cli.export import not_released
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json, progress
from kinfold.collecting import collect_less_often
from kinfold.register import RegisterError
from kinfold.releasing import released
from kinfold.statistics.exporting import STEPS, Release, unknown
from kinfold.statistics.figures import SPECS
from kinfold.statistics.release import Released

_EXAMPLES = """  kinfold stats
  kinfold stats --figure reach --figure consent
  kinfold stats --json
"""
_BAR = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "stats",
        "how well identity works, who can be reached, and what changed",
        examples=_EXAMPLES,
        sections=("home", "graph", "pulsar", "statistics"),
    )
    names = ", ".join(spec.id for spec in SPECS)
    parser.add_argument(
        "--figure", action="append", default=[], metavar="ID", help=f"only this one of {names}"
    )
    parser.add_argument("--json", action="store_true", help="print manifest and cells as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the figures, as they may be shared. 0: told; 1: something is out of reach; 2: wrong."""
    settings = settings_of(args)
    strangers = unknown(args.figure)
    if strangers:
        return fail(f"no figure is called {strangers[0]}", "kinfold stats --help", ASKED_WRONGLY)
    collect_less_often()
    with progress("reading a snapshot", STEPS) as advance:
        steps = iter(range(1, STEPS + 1))
        try:
            release = released(
                settings, place="terminal", only=args.figure, tell=lambda _: advance(next(steps))
            )
        except RegisterError as error:
            return not_released(error)
    if args.json:
        told = {"manifest": release.manifest, "cells": release.table().to_dicts()}
        print_json(told | {"rates": release.rates().to_dicts(), "largest_people": release.largest})
        return OK
    print("\n".join(lines(release)))
    return OK


def lines(release: Release) -> Iterator[str]:
    """The figures as text with bars; one that has nothing to tell is one line."""
    manifest = release.manifest
    yield f"{manifest['taken_at']}, resolution {manifest['snapshot']['resolution']}"
    yield f"counts to the nearest {manifest['minimum_people']} people or more; fewer are not told"
    if manifest["held_since"] is None:
        yield "the first figures of this register: later ones hold them, other registers do not"
    for each in release.figures:
        yield from _figure(each)
    yield from _rates(release.rates())
    if release.largest:
        yield ""
        yield "Largest people, for review here and not to be handed on:"
        yield from (f"  {person}" for person in release.largest)


def _figure(released: Released) -> Iterator[str]:
    spec = released.spec
    yield ""
    rows = released.cells.rows()
    if not rows:
        yield f"{spec.title} ({spec.id}): nothing to tell"
        return
    yield f"{spec.title}, in {spec.unit} ({spec.id})"
    most = max((value for _, _, value, *_ in rows if value is not None), default=0)
    width = max(len(part) for _, part, *_ in rows)
    last = ""
    for group, part, value, note, _ in rows:
        if group != last:
            yield f"  {group}"
            last = group
        told = f"{'-' if value is None else format(value, ',')}"
        yield f"    {part:{width}}  {told:>12}  {_bar(value or 0, most)} {note}".rstrip()


def _rates(rates: pl.DataFrame) -> Iterator[str]:
    if rates.is_empty():
        return
    yield ""
    yield "Rates, from the numbers above"
    width = max(len(of) for _, of, *_ in rates.rows())
    last = ""
    for rate, of, _, share, behind in rates.rows():
        if rate != last:
            yield f"  {rate}"
            last = rate
        note = f"  {behind:.1%} behind the highest" if behind else ""
        bar = _bar(round(share * 1_000), 1_000)
        yield f"    {of:{width}}  {share:>12.1%}  {bar}{note}".rstrip()


def _bar(value: int, most: int) -> str:
    eighths = round(value / most * _BAR * 8) if most else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
