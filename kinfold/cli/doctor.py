"""`kinfold doctor`: is all that is needed here and reachable, and what to do if not."""

from __future__ import annotations

import argparse

from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import FAILED, OK, print_json
from kinfold.doctor import examine
from kinfold.settings import settings_fields

_EXAMPLES = """  kinfold doctor
  kinfold doctor --graph-url neo4j://127.0.0.1:7687 --graph-password-file neo4j.password
  kinfold doctor --settings-help
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "doctor",
        "say whether all that is needed is here and reachable",
        examples=_EXAMPLES,
        sections=("home", "graph", "pulsar", "serve"),
    )
    parser.add_argument("--settings-help", action="store_true", help="list all settings")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings. 0: nothing is wrong; 1: something is."""
    if args.settings_help:
        for key, setting in settings_fields():
            default = setting.default if setting.default != "" else "none"
            print(f"{key:28} {setting.metadata['words']} (default: {default})")
        return OK
    wrong = False
    for finding in examine(settings_of(args)):
        wrong |= finding.state == "wrong"
        if args.json:
            print_json({"part": finding.part, "state": finding.state, "words": finding.words,
                        "hint": finding.hint})  # fmt: skip
            continue
        print(f"{finding.state:8} {finding.part:8} {finding.words}")
        if finding.hint:
            print(f"{'':17} hint: {finding.hint}")
    return FAILED if wrong else OK
