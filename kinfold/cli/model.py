"""`kinfold model`: the life of a match model, from training to going back to the one before."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from identity.matching.devices.training import TooFewDevices
from identity.matching.recalibration import TooFewAnswers
from identity.matching.training import TooLittle
from kinfold.cli import model_making, model_trying
from kinfold.cli.model_desk import Desk, add_date, add_map, add_source, open_desk, today
from kinfold.cli.options import Subparsers, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json
from kinfold.evaluate.reading import NotEvaluable
from kinfold.model_errors import ModelUnknown
from kinfold.modelling.card import card_json
from kinfold.modelling.card_text import card_lines
from kinfold.modelling.devices import device_json, device_lines
from kinfold.modelling.groups import NoGroups
from kinfold.models import DEVICES, KINDS, RECORDS, Kept

_EXAMPLES = """  kinfold model train people.csv --group gender
  kinfold model show
  kinfold model compare 3f2a 9bc1 people.csv
  kinfold model activate 9bc1
  kinfold model back
"""
_SEED = 20_250_101
Act = Callable[[argparse.Namespace, Desk], int]


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb and what it can do to the command line."""
    words = "train, show, compare, calibrate and put in force match models"
    # Settings are flags of what is done: given here, they would be lost on the way.
    parser = subparsers.add_parser(
        "model",
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=lambda _: _which())
    parts = parser.add_subparsers(title="what to do", metavar="WHAT", dest="what")
    _add_making(parts)
    _add_trying(parts)
    _add_keeping(parts)


def _which() -> int:
    return fail("say what to do with models", "kinfold model --help", ASKED_WRONGLY)


def _part(parts: Subparsers, name: str, words: str, act: Act, examples: str) -> Any:
    parser = verb(parts, name, words, examples=examples, sections=("home", "graph"))
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=lambda args: _run(args, act))
    return parser


def _add_making(parts: Subparsers) -> None:
    train = _part(
        parts, "train", "learn a model without answers", model_making.train,
        "  kinfold model train people.csv --group gender\n"
        "  kinfold model train people.csv --map kontakt=email --map ref=other:reference\n"
        "  kinfold model train --from-graph\n"
        "  kinfold model train --devices events.jsonl.gz --about devices.jsonl\n",
    )  # fmt: skip
    add_source(train)
    train.add_argument(
        "--devices", metavar="EVENTS", type=Path, help="instead of FILE: what devices did"
    )
    train.add_argument(
        "--about", metavar="DEVICES", type=Path, help="with --devices: what they say of themselves"
    )
    train.add_argument("--group", metavar="COLUMN", help="tell rates by the groups in a column")
    train.add_argument("--name", help="what to call the model (default: the data's name)")
    train.add_argument("--seed", type=int, default=_SEED, help="the same seed, the same model")
    calibrate = _part(
        parts, "calibrate", "refit a model's probabilities to answers", model_making.calibrate,
        "  kinfold model calibrate 3f2a people.csv --labels cluster\n"
        "  kinfold model calibrate 3f2a --from-graph       (to what staff decided)\n",
    )  # fmt: skip
    calibrate.add_argument("model", metavar="ID", help="the model to start from")
    add_source(calibrate)
    calibrate.add_argument("--labels", metavar="COLUMN", help="who each record truly is")
    for parser in (train, calibrate):
        for name, words in (("link", "pairs link"), ("review", "pairs wait for staff")):
            parser.add_argument(
                f"--{name}", metavar="P", type=float, help=f"from which probability on {words}"
            )
        add_date(parser)


def _add_trying(parts: Subparsers) -> None:
    compare = _part(
        parts, "compare", "resolve records under two models, say what becomes of the people",
        model_trying.compare_models, "  kinfold model compare 3f2a 9bc1 people.csv\n",
    )  # fmt: skip
    compare.add_argument("before", metavar="A", help="the one model")
    compare.add_argument("after", metavar="B", help="the other")
    add_source(compare)
    explain = _part(
        parts, "explain", "show the match weight of two rows of a file as a waterfall",
        model_trying.explain, "  kinfold model explain 17 42 people.csv --svg why.svg\n",
    )  # fmt: skip
    explain.add_argument("left", metavar="ROW", type=int, help="the one row, from 1")
    explain.add_argument("right", metavar="ROW", type=int, help="the other")
    explain.add_argument("--svg", metavar="PATH", type=Path, help="draw it into this file as well")
    review = _part(
        parts, "review", "list a file's pairs that are neither linked nor left",
        model_trying.review, "  kinfold model review people.csv --limit 5\n",
    )  # fmt: skip
    review.add_argument(
        "--limit", metavar="N", type=_count, default=20, help="show at most so many (default 20)"
    )
    for parser in (explain, review):
        parser.add_argument("file", metavar="FILE", type=Path, help="CSV, JSON Lines or Parquet")
        parser.add_argument("--model", metavar="ID", help="which model (default: the one in force)")
        add_map(parser)


def _count(text: str) -> int:
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError("not a whole number")


def _add_keeping(parts: Subparsers) -> None:
    _part(parts, "list", "list the models", _list, "  kinfold model list\n")
    show = _part(
        parts, "show", "show a model's card", _show,
        "  kinfold model show\n  kinfold model show 3f2a --json\n",
    )  # fmt: skip
    show.add_argument("model", metavar="ID", nargs="?", help="default: the one in force")
    activate = _part(
        parts, "activate", "put a model in force", _activate, "  kinfold model activate 3f2a\n"
    )
    activate.add_argument("model", metavar="ID", help="which model")
    add_date(activate)
    back = _part(
        parts, "back", "put the model before in force again", _back, "  kinfold model back\n"
    )
    kinds = [kind.name for kind in KINDS]
    back.add_argument("--kind", choices=kinds, default=RECORDS.name, help="of which models")
    add_date(back)


def _run(args: argparse.Namespace, act: Act) -> int:
    """Do it. 0: done; 1: no such model, or it is refused; 2: asked wrongly."""
    try:
        with open_desk(args) as desk:
            return act(args, desk)
    except (NotEvaluable, NoGroups) as error:
        return fail(str(error), f"kinfold model {args.what} --help", ASKED_WRONGLY)
    except TooLittle as error:
        return fail(str(error), "give two records or more", ASKED_WRONGLY)
    except TooFewDevices as error:
        return fail(str(error), "give devices of two types or more", ASKED_WRONGLY)
    except TooFewAnswers as error:
        return fail(str(error), "decide more cases, or give more labels", ASKED_WRONGLY)
    except ModelUnknown as error:
        return fail(str(error), "kinfold model list names the models that there are")


def _list(args: argparse.Namespace, desk: Desk) -> int:
    kept = desk.models.all()
    if args.json:
        print_json([_kept_json(own) for own in kept])
        return OK
    for own in kept:
        told, mark = own.card, "*" if own.active else " "
        if own.kind is None:
            print(f"{mark} {own.pin}  refused: {own.refused}")
            continue
        print(
            f"{mark} {own.pin}  {own.kind.name:8}{told.get('date', '?'):12}"
            f"{told.get('made_by', '?')}, {told.get('data', {}).get('name', '?')}"
        )
    print(f"{len(kept)} models, * in force" if kept else "no models; kinfold model train makes one")
    return OK


def _kept_json(own: Kept) -> dict[str, Any]:
    return {
        "model": own.pin,
        "kind": own.kind.name if own.kind is not None else None,
        "active": own.active,
        "refused": own.refused or None,
        "date": own.card.get("date"),
        "made_by": own.card.get("made_by"),
        "data": own.card.get("data", {}).get("name"),
    }


def _show(args: argparse.Namespace, desk: Desk) -> int:
    pin = desk.named(args.model)
    kind = desk.models.kind_of(pin)
    model, card = desk.models.load(kind, pin), desk.models.card(pin)
    active = desk.models.active(kind) == pin
    as_json, as_lines = (device_json, device_lines) if kind is DEVICES else (card_json, card_lines)
    told = as_json(pin, model, card)
    if args.json:
        print_json({**told, "active": active})
    else:
        print("\n".join(as_lines(told, active=active)))
    return OK


def _activate(args: argparse.Namespace, desk: Desk) -> int:
    pin = desk.named(args.model)
    kind = desk.models.kind_of(pin)
    before = desk.models.active(kind)
    desk.models.activate(kind, pin, today(args))
    return _in_force(args, kind.name, before, pin)


def _back(args: argparse.Namespace, desk: Desk) -> int:
    kind = next(kind for kind in KINDS if kind.name == args.kind)
    before = desk.models.active(kind)
    return _in_force(args, kind.name, before, desk.models.back(kind, today(args)))


def _in_force(args: argparse.Namespace, kind: str, before: str | None, now: str | None) -> int:
    if args.json:
        print_json({"kind": kind, "before": before, "active": now})
        return OK
    print(f"in force for {kind}: {now or 'no model'} (before: {before or 'no model'})")
    print(
        "people follow within seconds where kinfold runs or serves, else at the next kinfold ingest"
    )
    return OK
