"""`kinfold privacy`: requests of people about their data, from taking in to the receipt."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message

from identity.refused import Refused
from identity.store import GraphStore
from ingest.times import rfc3339_us
from kinfold.cli import privacy_packages as packages
from kinfold.cli import privacy_telling as telling
from kinfold.cli.options import Subparsers, add_settings, settings_of
from kinfold.cli.output import OK, fail, print_json
from kinfold.cli.refusals import refused
from kinfold.feeds import settle
from kinfold.privacy import open_book, open_carrier
from kinfold.privacy_places import open_erasing
from kinfold.settings import Settings, SettingsError
from kinfold.wiring import Policies, now_us, open_policies, open_store, open_vault
from profiles.access import LOCAL, Grant
from profiles.deadlines import RequestKind
from profiles.privacy_policy import LEVELS, Role
from profiles.request_book import staff_token
from profiles.requests import State
from profiles.serve.privacy_service import methods
from profiles.v1 import privacy_service_pb2 as pb
from profiles.v1.profile_service_pb2 import Subject

_GRANT: Final = Grant(LOCAL, 0, 0, None, staff=None)
_DAY_US: Final = 86_400_000_000
_MOST_DAYS: Final = 3_650
_EXAMPLES: Final = """  export KINFOLD_HOME_STAFF=desk              (an id of [staff.ID])
  kinfold privacy submit r-17 --kind access --of email:ann@example.org --level authenticated
  kinfold privacy confirm r-17                (receipt was confirmed to whoever asks)
  kinfold privacy due --within 7
  kinfold privacy export r-17 --out r-17.kinfold   (prints its key, once)
  kinfold privacy open r-17 r-17.kinfold --key K7QX-… --out ann
  kinfold privacy submit r-18 --kind erasure --of login:ann --level authenticated
  kinfold privacy plan r-18
  kinfold privacy approve r-18 --staff dpo    (somebody else than who took it in)
  kinfold privacy run r-18
  kinfold privacy lift r-18 --staff dpo       (ends a suppression)
  kinfold privacy receipt r-18 --json > receipt.json
  kinfold privacy hold login:bob --reason "court order 12/26"
  kinfold privacy release login:bob --reason "the case is closed"
"""
_RAW = argparse.RawDescriptionHelpFormatter


@dataclass(frozen=True)
class _Desk:
    """What a verb works with."""

    settings: Settings
    policies: Policies
    store: GraphStore
    answer: Callable[[str, Message], Any]
    settle: Callable[[], None]


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "privacy",
        help="handle requests of people about their data",
        description="Handle requests of people about their data.",
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=_RAW,
    )
    acts = parser.add_subparsers(title="acts", metavar="ACT", dest="act", required=True)
    _add_submit(acts)
    for name, words, run in (
        ("show", "a request as it stands, with every step", _show),
        ("plan", "what running a request would do; does nothing", _plan),
        ("receipt", "the audit log's entries on a request, with their proofs", _receipt),
    ):
        _request(acts, name, words, run)
    _add_lists(acts)
    _request(acts, "confirm", "note that receipt was confirmed to whoever asks", _advance)
    verify = _request(acts, "verify", "note how sure it is who asks", _advance)
    verify.add_argument("--level", choices=tuple(LEVELS), required=True, help="how sure")
    for name, words in (
        ("extend", "take the law's extension, with the reason that was told"),
        ("refuse", "refuse a request, with the reason that was told"),
    ):
        made = _request(acts, name, words, _advance)
        made.add_argument("--reason", required=True, metavar="WORDS", help="why; kept sealed")
    _request(acts, "withdraw", "note that the requester withdrew it", _advance)
    _add_as_one(
        _request(acts, "approve", "approve what cannot be undone, as a second person", _approve)
    )
    _add_as_one(_request(acts, "run", "carry a request out, or go on with it", _run))
    _request(acts, "lift", "end the suppression that came with an erasure", _lift)
    _add_holds(acts)
    _add_packages(acts)


def _act(acts: Subparsers, name: str, words: str, run: object) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(
        name,
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=_RAW,
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    add_settings(parser, ("home", "graph", "ingest", "pulsar"))
    parser.set_defaults(run=_guarded(run))
    return parser


def _request(acts: Subparsers, name: str, words: str, run: object) -> argparse.ArgumentParser:
    parser = _act(acts, name, words, run)
    parser.add_argument("request", metavar="REQUEST", help="the id of the request")
    return parser


def _add_as_one(parser: argparse.ArgumentParser) -> None:
    words = "what may be two people merged is one person all the same"
    parser.add_argument("--as-one", action="store_true", help=words)


def _add_submit(acts: Subparsers) -> None:
    submit = _request(acts, "submit", "take a request in; its clock starts", _submit)
    kinds = [kind.value for kind in RequestKind]
    add = submit.add_argument
    add("--kind", choices=kinds, required=True, help="what is asked for")
    add("--of", required=True, metavar="ID|KIND:VALUE", help="whose data it is about")
    add("--place", default="", metavar="P", help="where they live, for example US-CA")
    add("--level", choices=tuple(LEVELS), default="", help="how sure it is who asks")
    add("--received", default="", metavar="TIME", help="when, RFC 3339 (default: now)")
    add("--words", default="", metavar="WORDS", help="what they said; kept sealed")
    add("--contact", default="", metavar="WORDS", help="where to answer; kept sealed")
    add("--correct", action="append", default=[], metavar="NAME=VALUE", help="a right value")
    add("--retract", action="append", default=[], metavar="SOURCE:ID", help="a wrong signal")
    add("--suppress", action="store_true", help="an erasure: nothing of them comes in again")


def _add_lists(acts: Subparsers) -> None:
    listed = _act(acts, "list", "requests, soonest owed first", _list)
    states = [state.value for state in State]
    listed.add_argument("--state", action="append", default=[], choices=states, help="only these")
    due = _act(acts, "due", "what must be confirmed or answered when, soonest first", _due)
    due.add_argument("--within", type=int, metavar="DAYS", help="only in so many days")


def _add_holds(acts: Subparsers) -> None:
    for name, words in (
        ("hold", "set somebody apart: served to no one, erased by no one"),
        ("release", "end what sets somebody apart"),
    ):
        made = _act(acts, name, words, _hold)
        made.add_argument("of", metavar="ID|KIND:VALUE", help="whom")
        made.add_argument("--reason", required=True, metavar="WORDS", help="why; kept sealed")
        made.add_argument(
            "--restriction", action="store_true", help="a restriction instead of a legal hold"
        )
        made.add_argument("--hold-id", default="", metavar="ID", help="to do it again safely")


def _add_packages(acts: Subparsers) -> None:
    export = _request(acts, "export", "make the package that answers a request", _export)
    _add_as_one(export)
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to; made")
    opened = _request(acts, "open", "open a package, until it expires", _open)
    opened.add_argument("package", type=Path, metavar="FILE", help="the package")
    opened.add_argument("--key", required=True, help="as export printed it")
    opened.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to; made")


def _guarded(work: object) -> Callable[[argparse.Namespace], int]:
    assert callable(work)

    def run(args: argparse.Namespace) -> int:
        settings = settings_of(args)
        if not settings.home.staff:
            raise SettingsError(["home.staff: say who of staff acts, for example --staff desk"])
        policies = open_policies(settings)
        with ExitStack() as stack:
            vault = stack.enter_context(closing(open_vault(settings)))
            store = stack.enter_context(closing(open_store(settings)))
            book = open_book(settings, policies, vault)
            stack.enter_context(closing(book.requests))
            stack.enter_context(closing(book.means.log))
            served = methods(book)
            doing = open_carrier(settings, policies, vault, store)

            def settled() -> None:
                if not settings.pulsar.url:
                    settle(settings, policies, vault, store)

            def answer(method: str, message: Message) -> Any:
                _, answers = served[method]
                return answers(doing, message, _GRANT)

            return int(work(args, _Desk(settings, policies, store, answer, settled)))

    return run


def _submit(args: argparse.Namespace, desk: _Desk) -> int:
    problems = _correction_problems(args)
    received_us = rfc3339_us(args.received) if args.received else None
    if args.received and received_us is None:
        problems.append("--received: write RFC 3339, for example 2026-03-01T12:00:00Z")
    if problems:
        raise SettingsError(problems)
    asked = pb.SubmitRequest(
        request_id=args.request,
        kind=args.kind,
        subject=_subject(args.of),
        place=args.place,
        level=args.level,
        words=args.words,
        contact=args.contact,
        corrections=dict(one.split("=", 1) for one in args.correct),
        retractions=[_signal(one) for one in args.retract],
        suppress=args.suppress,
        staff=desk.settings.home.staff,
    )
    if received_us is not None:
        asked.received_at.FromMicroseconds(received_us)
    found = desk.answer("Submit", asked)
    return _told(args, found, telling.submitted)


def _correction_problems(args: argparse.Namespace) -> list[str]:
    """What is wrong with corrections, without a word of what they say."""
    problems = []
    names = [one.partition("=")[0].strip() for one in args.correct if "=" in one]
    if len(names) < len(args.correct) or not all(names):
        problems.append("--correct: write NAME=VALUE, for example given_name=Anna")
    if len(set(names)) < len(names):
        problems.append("--correct: name each attribute once")
    if not all(all(one.partition(":")[::2]) for one in args.retract):
        problems.append("--retract: write SOURCE:ID, the source and the id of the wrong signal")
    return problems


def _show(args: argparse.Namespace, desk: _Desk) -> int:
    asked = pb.GetRequest(request_id=args.request, staff=desk.settings.home.staff)
    return _told(args, desk.answer("Get", asked), lambda found: telling.request(found.request))


def _plan(args: argparse.Namespace, desk: _Desk) -> int:
    asked = pb.PlanRequest(request_id=args.request, staff=desk.settings.home.staff)
    return _told(args, desk.answer("Plan", asked), telling.plan)


def _approve(args: argparse.Namespace, desk: _Desk) -> int:
    asked = pb.ApproveRequest(
        request_id=args.request, staff=desk.settings.home.staff, as_one=args.as_one
    )
    return _told(args, desk.answer("Approve", asked), telling.moved)


def _advance(args: argparse.Namespace, desk: _Desk) -> int:
    asked = pb.AdvanceRequest(
        request_id=args.request,
        step=args.act,
        level=getattr(args, "level", ""),
        reason=getattr(args, "reason", ""),
        staff=desk.settings.home.staff,
    )
    return _told(args, desk.answer("Advance", asked), telling.moved)


def _run(args: argparse.Namespace, desk: _Desk) -> int:
    asked = pb.RunRequest(
        request_id=args.request, staff=desk.settings.home.staff, as_one=args.as_one
    )
    found = desk.answer("Run", asked)
    if not isinstance(found, Refused):
        desk.settle()
    return _told(args, found, lambda done: telling.request(done.request))


def _list(args: argparse.Namespace, desk: _Desk) -> int:
    states = args.state or [state.value for state in State]
    asked = pb.ListRequest(states=states, staff=desk.settings.home.staff)
    return _told(args, _all_pages(desk, asked), telling.listed)


def _all_pages(desk: _Desk, asked: pb.ListRequest) -> pb.ListResponse | Refused:
    """Every request that is asked for, as one answer."""
    found = pb.ListResponse()
    while True:
        page = desk.answer("List", asked)
        if isinstance(page, Refused):
            return page
        found.requests.extend(page.requests)
        if not page.next_page_token:
            return found
        asked.page_token = page.next_page_token


def _due(args: argparse.Namespace, desk: _Desk) -> int:
    if args.within is not None and not 1 <= args.within <= _MOST_DAYS:
        raise SettingsError([f"--within: name 1 to {_MOST_DAYS:,} days"])
    today = desk.policies.privacy.day(now_us())
    by = desk.policies.privacy.day(now_us() + args.within * _DAY_US) if args.within else None
    asked = pb.ListRequest(
        due_by="" if by is None else by.isoformat(), staff=desk.settings.home.staff
    )
    return _told(args, _all_pages(desk, asked), lambda found: telling.due(found, today))


def _hold(args: argparse.Namespace, desk: _Desk) -> int:
    kind = pb.HoldRequest if args.act == "hold" else pb.ReleaseRequest
    purpose = "restriction" if args.restriction else "legal_hold"
    asked = kind(
        subject=_subject(args.of),
        purpose=purpose,
        reason=args.reason,
        hold_id=args.hold_id,
        staff=desk.settings.home.staff,
    )
    found = desk.answer(args.act.capitalize(), asked)
    if not isinstance(found, Refused):
        desk.settle()
    return _told(args, found, lambda done: telling.held(args.act, purpose, done))


def _lift(args: argparse.Namespace, desk: _Desk) -> int:
    if not desk.policies.privacy.may(desk.settings.home.staff, (Role.APPROVER,)):
        return fail("only an approver may lift a suppression", "--staff names who acts")
    settings, policies, store = desk.settings, desk.policies, desk.store
    with (
        closing(open_vault(settings)) as vault,
        open_erasing(settings, policies, vault, store) as erasing,
    ):
        lifted = erasing.lift(args.request, staff_token(vault.audit_key(), settings.home.staff))
    if not lifted:
        return fail("no erasure under this id suppresses anybody", "kinfold privacy list")
    if args.json:
        print_json({"lifted": True})
    else:
        print("lifted: what they do from now on counts again, what was erased stays out")
    return OK


def _receipt(args: argparse.Namespace, desk: _Desk) -> int:
    asked = pb.GetReceiptRequest(request_id=args.request, staff=desk.settings.home.staff)
    return _told(args, desk.answer("GetReceipt", asked), telling.receipt)


def _export(args: argparse.Namespace, desk: _Desk) -> int:
    return packages.export(args, desk.settings.home.staff, desk.answer)


def _open(args: argparse.Namespace, desk: _Desk) -> int:
    return packages.open_package(args, desk.settings.home.staff, desk.answer)


def _subject(named: str) -> Subject:
    if ":" not in named:
        return Subject(person_id=named)
    kind, _, value = named.partition(":")
    if kind == "external":
        name, _, value = value.partition(":")
        kind = f"{kind}:{name}"
    subject = Subject()
    subject.identifier.kind, subject.identifier.value = kind, value
    return subject


def _signal(named: str) -> pb.SignalRef:
    source, _, signal_id = named.partition(":")
    return pb.SignalRef(source=source, signal_id=signal_id)


def _told(args: argparse.Namespace, found: Any, tell: Callable[[Any], None]) -> int:
    if isinstance(found, Refused):
        return refused(found)
    if args.json:
        print_json(telling.as_json(found))
    else:
        tell(found)
    return OK
