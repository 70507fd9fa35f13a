"""`kinfold model train` and `calibrate`: new models, each kept with its card."""

from __future__ import annotations

import argparse
from itertools import count

from identity.matching.devices.linking import link
from identity.matching.devices.training import train as train_devices
from kinfold.cli.model_desk import Desk, source_of, today
from kinfold.cli.output import OK, print_json, progress, warn
from kinfold.evaluate.devices_reading import read_devices
from kinfold.evaluate.reading import NotEvaluable
from kinfold.modelling.card import doubts
from kinfold.modelling.devices import device_card
from kinfold.modelling.resolving import resolve
from kinfold.modelling.training import (
    Made,
    calibrated,
    described,
    group_names,
    trained,
    with_thresholds,
)
from kinfold.models import DEVICES, RECORDS

_STEPS = 4


def train(args: argparse.Namespace, desk: Desk) -> int:
    """Learn a model, keep it, print its fingerprint."""
    if args.devices is not None:
        return _train_devices(args, desk)
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


def _train_devices(args: argparse.Namespace, desk: Desk) -> int:
    if args.about is None or args.file or args.from_graph or args.group:
        raise NotEvaluable("--devices EVENTS goes with --about DEVICES, and with no other data")
    with progress("reading", None, args.json):
        found = read_devices(args.devices, args.about).devices()
    with progress("training", None, args.json):
        name = args.name or args.devices.name
        model = train_devices(found, name=name, seed=args.seed, key=desk.key)
        linked = link(found, model, desk.key)
    card = device_card(model, found, linked, data=args.devices.name, date=today(args))
    pin = desk.models.save(DEVICES, model, card)
    if args.json:
        print_json({"model": pin, "card": card})
        return OK
    told = card["linked"]
    print(f"model {pin}")
    print(f"{len(found):,} devices: {told['link']:,} pairs to link, {told['people']:,} people")
    _print_next(pin)
    return OK


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
    for doubt in doubts(made.model):
        warn(
            doubt, "look at kinfold model show and kinfold model compare before it is put in force"
        )
    if args.json:
        print_json({"model": pin, "card": made.card})
        return OK
    found = made.card["resolved"]
    print(f"model {pin}")
    print(
        f"{made.model.records:,} records: {found['people']:,} people, {found['link']:,} pairs"
        f" to link, {found['review']:,} to review"
    )
    print(_expected(made))
    for name, figure in made.card["calibration"].items():
        if isinstance(figure, float):
            print(f"{name.replace('_', ' ')} {figure}")
    _print_next(pin)
    return OK


def _expected(made: Made) -> str:
    """Precision and recall of linked pairs as the card has them, by the model's own estimate."""
    link = made.model.link
    told = next(one for one in made.card["at_thresholds"] if one["probability"] == link)
    return (
        f"expected of pairs linked: precision {told['precision']:.4f}, recall {told['recall']:.4f}"
    )


def _print_next(pin: str) -> None:
    show, activate = f"kinfold model show {pin[:8]}", f"kinfold model activate {pin[:8]}"
    print(f"see it with: {show}; put it in force with: {activate}")
