"""`kinfold evaluate`: how well records are matched, on a file whose answers are known."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from identity.matching.training import TooLittle
from kinfold.cli.options import Subparsers, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json, progress
from kinfold.evaluate import devices, people, streaming
from kinfold.evaluate.reading import NotEvaluable, read
from kinfold.wiring import open_tokens

_EXAMPLES = """  kinfold evaluate people.csv --labels cluster
  kinfold evaluate people.csv --map kontakt=email --map ref=other:reference --labels id --json
  kinfold evaluate --devices events.jsonl.gz --about devices.jsonl --truth truth.csv --json
"""
_SEED = 20_250_101
_DEVICE_FLAGS = (
    ("--devices", "EVENTS", "instead of FILE: what devices did, JSON Lines"),
    ("--about", "DEVICES", "with --devices: what each device says of itself, JSON Lines"),
    ("--truth", "FILE", "with --devices: device, kind and person, CSV"),
)


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "evaluate",
        "train on a file without its labels, stream its records, compare with the labels",
        examples=_EXAMPLES,
        sections=(),
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="CSV, JSON Lines or Parquet"
    )
    parser.add_argument("--labels", metavar="COLUMN", help="who each record truly is")
    for flag, name, words in _DEVICE_FLAGS:
        parser.add_argument(flag, metavar=name, type=Path, help=words)
    parser.add_argument(
        "--map",
        metavar="COLUMN=ATTRIBUTE",
        action="append",
        default=[],
        help="what a column holds; other:NAME for any other text, nothing to leave it out",
    )
    parser.add_argument("--seed", type=int, default=_SEED, help="of training and intervals")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, stream, compare, print. 2: the file or a column is not what was said."""
    if args.devices is not None:
        return _run_devices(args)
    if args.file is None or args.labels is None:
        return fail("FILE or --labels is missing", "kinfold evaluate --help", ASKED_WRONGLY)
    mapped = dict(pair.partition("=")[::2] for pair in args.map)
    try:
        answered = read(args.file, mapped, args.labels)
        with progress("training", None, args.json) as advance:
            vault = streaming.keys_of(args.seed)
            key = open_tokens(vault).matching_key()
            model, train_s = people.train_on(
                answered.records, args.seed, key, step=lambda _: advance(0)
            )
    except NotEvaluable as error:
        return fail(str(error), "kinfold evaluate --help", ASKED_WRONGLY)
    except TooLittle as error:
        return fail(str(error), "give a file of two records or more", ASKED_WRONGLY)
    with progress("matching", len(answered.records), args.json) as advance:
        streamed = streaming.stream(answered.records, model, vault, advance)
    figures = people.report(streamed, model, answered.labels(), train_s)
    if args.json:
        print_json(figures)
    else:
        print("\n".join(as_text(figures)))
    return OK


def _run_devices(args: argparse.Namespace) -> int:
    if args.about is None or args.truth is None:
        return fail("--about or --truth is missing", "kinfold evaluate --help", ASKED_WRONGLY)
    try:
        with progress("matching devices", None, args.json):
            figures = devices.evaluate(args.devices, args.about, args.truth, args.seed)
    except NotEvaluable as error:
        return fail(str(error), "kinfold evaluate --help", ASKED_WRONGLY)
    if args.json:
        print_json(figures)
    else:
        print("\n".join(as_text(figures)))
    return OK


def as_text(figures: dict[str, Any]) -> list[str]:
    """The figures in lines, qualities in one each."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key} {figure}" for key, figure in value.items())  # noqa: PLW2901
        lines.append(f"{name:32}{value}")
    return lines
