"""`kinfold model train` and `calibrate`: new models, each kept with its card."""

from __future__ import annotations

import argparse
from itertools import count

from kinfold.cli.model_desk import Desk, source_of, today
from kinfold.cli.output import OK, print_json, progress
from kinfold.evaluate.reading import NotEvaluable
from kinfold.modelling.resolving import resolve
from kinfold.modelling.training import (
    Made,
    calibrated,
    described,
    group_names,
    trained,
    with_thresholds,
)
from kinfold.models import RECORDS

_STEPS = 4


def train(args: argparse.Namespace, desk: Desk) -> int:
    """Learn a model, keep it, print its fingerprint."""
    source = source_of(args, desk)
    names = group_names(source, args.group)
    with progress("training", _STEPS, args.json) as advance:
        steps = count()
        model = trained(
            source,
            name=args.name or source.name,
            seed=args.seed,
            key=desk.key,
            step=lambda _: advance(next(steps)),
        )
    model = with_thresholds(model, args.link, args.review)
    with progress("resolving", len(source.records), args.json) as advance:
        made = described(
            model,
            source,
            desk.key,
            date=today(args),
            made_by="trained",
            group=(args.group, names) if names is not None else None,
            advance=advance,
        )
    return _keep(args, desk, made)


def calibrate(args: argparse.Namespace, desk: Desk) -> int:
    """Refit a model's probabilities to labels or to decisions of staff, as a new model."""
    if not args.from_graph and not args.labels:
        raise NotEvaluable("say with --labels which column tells who each record truly is")
    if args.from_graph and args.labels:
        raise NotEvaluable("the graph has decisions of staff, no labels: leave --labels out")
    pin = desk.named(args.model)
    model = desk.models.load(RECORDS, pin)
    source = source_of(args, desk)
    labels = source.column(args.labels) if args.labels else None
    with progress("resolving", len(source.records), args.json) as advance:
        resolved = resolve(source.records, model, desk.key, advance)
    fitted, measured = calibrated(model, source, resolved, labels)
    fitted = with_thresholds(fitted, args.link, args.review)
    with progress("resolving", len(source.records), args.json) as advance:
        made = described(
            fitted, source, desk.key, date=today(args), made_by=f"calibrated from {pin}",
            group=None, measured=measured, advance=advance,
        )  # fmt: skip
    return _keep(args, desk, made)


def _keep(args: argparse.Namespace, desk: Desk, made: Made) -> int:
    pin = desk.models.save(RECORDS, made.model, made.card)
    if args.json:
        print_json({"model": pin, "card": made.card})
        return OK
    found = made.card["resolved"]
    print(f"model {pin}")
    print(
        f"{made.model.records:,} records: {found['people']:,} people, {found['link']:,} pairs"
        f" to link, {found['review']:,} to review"
    )
    for name, figure in made.card["calibration"].items():
        if isinstance(figure, float):
            print(f"{name.replace('_', ' ')} {figure}")
    print(f"see it with: kinfold model show {pin[:8]}; put it in force with: kinfold model"
          f" activate {pin[:8]}")  # fmt: skip
    return OK
