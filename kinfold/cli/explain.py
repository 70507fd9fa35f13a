"""`kinfold explain`: why two identifiers are, or are not, one person."""

from __future__ import annotations

import argparse
from contextlib import closing

from identity.explain import Explanation, explain
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import FAILED, OK, fail, print_json
from kinfold.wiring import node_key, open_policies, open_store, open_tokens, open_vault

_EXAMPLES = """  kinfold explain email:ann@example.org device:ph-77
  kinfold explain login:ann cookie:c-1 --json
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "explain",
        "why two identifiers are, or are not, one person",
        examples=_EXAMPLES,
        sections=("home", "graph"),
    )
    parser.add_argument("left", metavar="KIND:VALUE", help="the one identifier")
    parser.add_argument("right", metavar="KIND:VALUE", help="the other")
    parser.add_argument("--json", action="store_true", help="print the chain as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the explanation. 0: one was found; 1: an identifier is not known."""
    settings = settings_of(args)
    policies = open_policies(settings)
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:
        tokens = open_tokens(vault)
        left = node_key(args.left, settings, policies, tokens)
        right = node_key(args.right, settings, policies, tokens)
        found = explain(store, policies.identity, left, right)
        if found is None:
            known = store.person_of((left, right))
            missing = "the first" if left not in known else "the second"
            return fail(
                f"{missing} identifier is not known", "has its signal been ingested?", FAILED
            )
    if args.json:
        print_json(as_json(found))
    else:
        print("\n".join(as_text(found)))
    return OK


def as_json(found: Explanation) -> dict[str, object]:
    """The explanation as plain data; tokens only."""
    return {
        "same_person": found.same_person,
        "sentence": found.sentence,
        "obstacles": list(found.obstacles),
        "steps": [
            {
                "from": step.left,
                "to": step.right,
                "basis": step.basis.name.lower(),
                "weight_bits": step.weight_bits,
                "sources": list(step.sources),
                "signals": step.signals,
                "first_us": step.first_us,
                "last_us": step.last_us,
                "sentence": step.sentence,
            }
            for step in found.steps
        ],
    }


def as_text(found: Explanation) -> list[str]:
    """The explanation in lines, one per step or obstacle."""
    if not found.same_person:
        return ["two people:", *(f"  - {obstacle}" for obstacle in found.obstacles)]
    if not found.steps:
        return [found.sentence]
    return [
        "one person:",
        *(f"  {step.weight_bits:5.1f} bits  {step.sentence}" for step in found.steps),
    ]
