"""`kinfold keys`: how old keys are, and their rotation by hand."""

from __future__ import annotations

import argparse
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime

from identity.store import StoreUnavailable
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import OK, print_json, progress
from kinfold.feeds import open_feed
from kinfold.keys import STAGE, chain_of
from kinfold.rotating import BEGAN_US, DONE, MADE_US, ROTATED_US, Stage, begin, is_under_way
from kinfold.settings import Settings, SettingsError
from kinfold.upkeep import Upkeep
from kinfold.upkeeping import open_upkeep
from kinfold.wiring import now_us, open_policies, open_store, open_vault
from profiles.feed import FeedUnavailable
from profiles.vault import KeyVault

_EXAMPLES = """  kinfold keys show --json
  kinfold keys rotate             (a new epoch: older copies cannot be read any more)
  kinfold keys rotate --tokens    (identifiers are named anew as well)
"""
_WAIT_S = 0.05
_WORDS = {
    Stage.NOTICE: "waiting until running processes notice",
    Stage.NODES: "naming identifiers anew",
    Stage.GRAPH: "wrapping the graph's values anew",
    Stage.LETTERS: "wrapping dead letters anew",
    Stage.PUBLISH: "publishing everybody anew",
    Stage.FOLLOWERS: "waiting until nobody reads the former feed",
    Stage.DESTROY: "destroying older keys",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "keys",
        "show how old keys are, or rotate them while serving",
        examples=_EXAMPLES,
        sections=("home", "graph", "pulsar", "keys"),
    )
    parser.add_argument("act", choices=("show", "rotate"), help="show, or rotate now")
    parser.add_argument("--tokens", action="store_true", help="rotate: token keys as well")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show or rotate. 0: shown, or rotated to the end."""
    settings = settings_of(args)
    if args.tokens and args.act == "show":
        raise SettingsError(["--tokens: only with rotate; show changes nothing"])
    with closing(open_vault(settings)) as vault:
        if args.act == "rotate":
            _rotate(settings, vault, tokens=args.tokens, quiet=args.json)
        told = _told(settings, vault)
    if args.json:
        print_json(told)
        return OK
    for name, value in told.items():
        print(f"{name.replace('_', ' ')}: {value if value is not None else 'never'}")
    return OK


def _rotate(settings: Settings, vault: KeyVault, *, tokens: bool, quiet: bool) -> None:
    """Begin a rotation, or go on with the one that is under way, and see it through.

    The work is done here, or in the process that has the lease of the resolver.
    """
    begin(vault, now_us(), tokens=tokens)
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(settings)))
        feed = stack.enter_context(open_feed(settings))
        upkeep = open_upkeep(settings, open_policies(settings), vault, store, feed)
        stack.callback(upkeep.release)
        while is_under_way(vault):
            stage = Stage(vault.agreed(STAGE))
            with progress(_WORDS.get(stage, "beginning"), None, quiet) as advance:
                while vault.agreed(STAGE) == stage and is_under_way(vault):
                    _once(upkeep)
                    advance(vault.agreed(DONE))


def _once(upkeep: Upkeep) -> None:
    try:
        idle = not upkeep.once()
    except (StoreUnavailable, FeedUnavailable):
        idle = True
    if idle:
        threading.Event().wait(_WAIT_S)


def _told(settings: Settings, vault: KeyVault) -> dict[str, object]:
    stage = Stage(vault.agreed(STAGE))
    under_way = is_under_way(vault)
    days = settings.keys.rotate_days
    return {
        "epoch": vault.current_epoch(),
        "older_epochs": len(vault.epochs()) - 1,
        "token_keys": len(chain_of(vault)),
        "epoch_since": _time(vault.agreed(MADE_US)),
        "rotates_every_days": days,
        "rotating": _WORDS.get(stage, "beginning") if under_way else "no",
        "rotation_began": _time(vault.agreed(BEGAN_US)),
        "copies_from_before_cannot_be_read": _time(vault.agreed(ROTATED_US)),
    }


def _time(at_us: int) -> str | None:
    if not at_us:
        return None
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
