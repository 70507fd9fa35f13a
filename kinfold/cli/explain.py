"""`kinfold explain`: why two identifiers are, or are not, one person."""

from __future__ import annotations

import argparse
import shutil
from contextlib import closing
from pathlib import Path

from identity.explain import Explanation, Step, explain, name_of
from identity.matching.drawing import svg
from identity.matching.index import MatchIndex
from identity.matching.waterfall import terminal, waterfall_json
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, FAILED, OK, fail, print_json
from kinfold.wiring import (
    node_key,
    open_active_models,
    open_policies,
    open_store,
    open_tokens,
    open_vault,
)

_EXAMPLES = """  kinfold explain email:ann@example.org device:ph-77
  kinfold explain login:ann cookie:c-1 --json
  kinfold explain record:crm:1017 record:shop:4711 --svg why.svg
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
    parser.add_argument(
        "left", metavar="KIND:VALUE", help="the one identifier, or record:SOURCE:SIGNAL_ID"
    )
    parser.add_argument("right", metavar="KIND:VALUE", help="the other")
    parser.add_argument(
        "--svg", metavar="PATH", type=Path, help="draw the weakest scored link into this file"
    )
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
        comparers = open_active_models(settings, policies, vault).comparers()
        index = MatchIndex(store, comparers)
        found = explain(store, policies.identity, left, right, index)
        if found is None:
            known = store.person_of((left, right))
            missing = "the first" if left not in known else "the second"
            return fail(
                f"{missing} identifier is not known", "has its signal been ingested?", FAILED
            )
    if args.json:
        print_json(as_json(found))
    else:
        print("\n".join(as_text(found, shutil.get_terminal_size().columns)))
    return OK if args.svg is None else _draw(found, args.svg)


def _draw(found: Explanation, path: Path) -> int:
    scored = [step for step in found.steps if step.bars]
    if not scored:
        return fail("there is no scored link to draw", "leave out --svg", ASKED_WRONGLY)
    weakest = min(scored, key=lambda step: step.weight_bits)
    ends = f"{name_of(weakest.left)} and {name_of(weakest.right)}"
    path.write_text(svg(weakest.bars, f"Why {ends} are linked"), "utf-8")
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
                **_scored_json(step),
            }
            for step in found.steps
        ],
    }


def _scored_json(step: Step) -> dict[str, object]:
    if not step.bars:
        return {}
    told = waterfall_json(step.bars)
    return {"probability": step.probability, "model": step.model, "bars": told["bars"]}


def as_text(found: Explanation, width: int = 80) -> list[str]:
    """The explanation in lines, one per step or obstacle; a scored link with its waterfall."""
    if not found.same_person:
        return ["two people:", *(f"  - {obstacle}" for obstacle in found.obstacles)]
    if not found.steps:
        return [found.sentence]
    lines = ["one person:"]
    for step in found.steps:
        lines.append(f"  {step.weight_bits:5.1f} bits  {step.sentence}")
        if step.bars:
            lines += [f"    {line}" for line in terminal(step.bars, min(width, 100) - 4)]
            lines.append(f"    match model {step.model}")
    return lines
