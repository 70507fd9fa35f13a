"""`kinfold dead-letters`: what could not be counted, why, sending it again, and removing it."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime

from ingest.dead_letters import DeadLetter, DeadLetters, Envelopes, LettersError
from ingest.resending import Resender, Resent
from kinfold.auditing import log_removed, open_auditor
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import FAILED, OK, fail, print_json
from kinfold.feeds import open_feed
from kinfold.intaking import readers
from kinfold.letters import open_letters
from kinfold.settings import Settings, SettingsError
from kinfold.upkeeping import open_upkeep
from kinfold.wiring import (
    now_us,
    open_intake,
    open_policies,
    open_sealer,
    open_store,
    open_vault,
)

_EXAMPLES = """  kinfold dead-letters
  kinfold dead-letters --reason ahead --json
  kinfold dead-letters --show 4jx…       (prints the input itself, unsealed)
  kinfold dead-letters --send --reason expired
  kinfold dead-letters --remove 4jx… 7ab…  (for good; the audit log says which)
"""
_ID = re.compile("[a-z2-7]{26}")


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "dead-letters",
        "list what could not be counted, send it again, or remove it",
        examples=_EXAMPLES,
        sections=("home", "graph", "ingest", "pulsar"),
    )
    parser.add_argument("--id", metavar="ID", help="only this letter")
    parser.add_argument("--reason", metavar="RULE", help="only letters with this reason")
    parser.add_argument("--source", metavar="S", help="only letters of this source")
    parser.add_argument("--show", metavar="ID", help="print the input of a letter, unsealed")
    parser.add_argument("--send", action="store_true", help="send these letters again")
    parser.add_argument("--remove", nargs="+", metavar="ID", help="remove these letters, for good")
    parser.add_argument("--summary", action="store_true", help="only how many, by reason")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, show, send again or remove. 0: done; 1: some still cannot count, or are not there."""
    settings = settings_of(args)
    chosen_otherwise = (args.id, args.reason, args.source, args.show, args.send, args.summary)
    if args.remove and any(chosen_otherwise):
        raise SettingsError(["--remove: it takes the ids of letters, and no other choice"])
    try:
        with closing(open_letters(settings)) as letters:
            if args.remove:
                return _remove(settings, letters, args.remove, as_json=args.json)
            if args.show:
                return _show(settings, letters, args.show)
            chosen = [letter for letter in letters.all() if _matches(letter, args)]
            if args.send:
                return _send(settings, letters, chosen, as_json=args.json)
            return _list(chosen, args)
    except LettersError as error:
        return fail(str(error), "kinfold doctor says what is reachable")


def _matches(letter: DeadLetter, args: argparse.Namespace) -> bool:
    return (
        (args.id is None or letter.id == args.id)
        and (args.reason is None or letter.reason == args.reason)
        and (args.source is None or letter.source == args.source)
    )


def _list(letters: list[DeadLetter], args: argparse.Namespace) -> int:
    reasons = Counter((letter.reason, letter.source) for letter in letters)
    if args.json and args.summary:
        print_json([{"reason": r, "source": s, "letters": n} for (r, s), n in reasons.items()])
    elif args.json:
        for letter in letters:
            print_json(_as_json(letter))
    elif args.summary:
        for (reason, source), count in reasons.most_common():
            print(f"{count:8,}  {reason}  {source or '(source unknown)'}")
    else:
        for letter in letters:
            print(f"{letter.id}  {_time(letter.received_us)}  {letter.source or '-'}  {letter}")
    if not letters and not args.json:
        print("no dead letters")
    return OK


def _as_json(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "reason": letter.reason,
        "field": letter.field,
        "hint": letter.hint,
        "source": letter.source,
        "form": letter.form,
        "partition": letter.partition,
        "received_us": letter.received_us,
    }


def _show(settings: Settings, letters: DeadLetters, letter_id: str) -> int:
    letter = letters.find(letter_id)
    if letter is None:
        return fail("no such letter", "kinfold dead-letters lists them", FAILED)
    print(letter)
    if not letter.sealed:
        return fail("its input is not at hand any more", letter.hint, FAILED)
    with closing(open_vault(settings)) as vault:
        opened = Envelopes(open_sealer(vault), vault.order_key()).open(letter)
    print(opened.decode("utf-8", "backslashreplace"))
    return OK


def _remove(
    settings: Settings, letters: DeadLetters, wanted: Sequence[str], *, as_json: bool
) -> int:
    """All of them or, where one is not there, none. What is logged but was not removed goes when it
    is asked for again.
    """
    found = {letter.id: letter for letter in letters.all() if letter.id in set(wanted)}
    missing = [one for one in dict.fromkeys(wanted) if one not in found]
    if missing:
        # Whatever is not an id may be anything that somebody pasted.
        named = ", ".join(one if _ID.fullmatch(one) else "what is no id" for one in missing)
        return fail(f"no such letter: {named}", "kinfold dead-letters lists them")
    with closing(open_vault(settings)) as vault:
        log_removed(settings, vault, list(found.values()))
    letters.remove(found.values())
    if as_json:
        print_json({"removed": sorted(found)})
    else:
        print(f"{len(found):,} letter{'s' if len(found) > 1 else ''} removed")
    return OK


def _send(
    settings: Settings, letters: DeadLetters, chosen: list[DeadLetter], *, as_json: bool
) -> int:
    policies = open_policies(settings)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        store = stack.enter_context(closing(open_store(settings)))
        feed = stack.enter_context(open_feed(settings))
        sealer = open_sealer(vault)
        intake = open_intake(settings, policies, vault, sealer)

        envelopes = Envelopes(sealer, vault.order_key())
        audit = open_auditor(settings, vault)
        resender = Resender(store, letters, envelopes, readers(intake), now_us, audit, intake)
        resent = resender.send(chosen)
        upkeep = open_upkeep(settings, policies, vault, store, feed)
        stack.callback(upkeep.release)
        upkeep.settle()
    _tell(resent, as_json)
    return FAILED if resent.refused or resent.empty else OK


def _tell(resent: Resent, as_json: bool) -> None:
    if as_json:
        refused = [{"id": letter.id, "reason": why} for letter, why in resent.refused]
        print_json({"counted": resent.counted, "empty": resent.empty, "refused": refused})
        return
    print(f"{resent.counted:,} letters sent and gone, {len(resent.refused):,} still cannot count")
    for letter, why in resent.refused:
        print(f"{letter.id}  {why}")
    if resent.empty:
        print(f"{resent.empty:,} hold no input any more")


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
