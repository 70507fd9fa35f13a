"""`kinfold consent`: what somebody allows, why and since when, and new decisions."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict

from identity.refused import Refused
from ingest.times import rfc3339_us
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import OK, print_json
from kinfold.cli.refusals import refused
from kinfold.consents import open_answers, open_recorder
from kinfold.feeds import settle
from kinfold.settings import SettingsError
from kinfold.wiring import (
    Policies,
    node_key,
    open_policies,
    open_store,
    open_tokens,
    open_vault,
)
from profiles.access import Grant, unlimited
from profiles.consent import RESERVED
from profiles.v1 import consent_service_pb2 as pb
from profiles.v1.profile_service_pb2 import Subject

_EXAMPLES = """  kinfold consent show email:ann@example.org
  kinfold consent show 7mbo5n2ecnlkdgwdmqvq4zs3ya --history --json
  kinfold consent record email:ann@example.org --purpose marketing --withdraw \\
      --source call_centre --text-version 2026-01 --place hotline
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "consent",
        "show what somebody allows and why, or record a decision",
        examples=_EXAMPLES,
        sections=("home", "graph", "ingest", "pulsar"),
    )
    parser.add_argument("act", choices=("show", "record"), help="show, or record a decision")
    parser.add_argument("subject", metavar="ID|KIND:VALUE", help="a person id or an identifier")
    parser.add_argument("--history", action="store_true", help="show: every decision ever made")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    record = parser.add_argument_group("record")
    record.add_argument(
        "--purpose", action="append", default=[], metavar="P", help="a purpose; may be repeated"
    )
    choice = record.add_mutually_exclusive_group()
    choice.add_argument("--grant", action="store_true", help="they said yes")
    choice.add_argument("--withdraw", action="store_true", help="they said no")
    record.add_argument("--source", default="", metavar="S", help="on whose word")
    record.add_argument("--text-version", default="", metavar="V", help="which text they saw")
    record.add_argument("--place", default="", metavar="P", help="where, a page or a shop")
    record.add_argument("--at", default="", metavar="TIME", help="when, RFC 3339 (default: now)")
    record.add_argument(
        "--signal-id", default="", metavar="ID", help="said again under it, it counts once"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show or record. 0: done; 1: nobody is known by it, or it cannot be; 2: asked wrongly."""
    return _record(args) if args.act == "record" else _show(args)


def _show(args: argparse.Namespace) -> int:
    _refuse_flags_of_record(args)
    settings = settings_of(args)
    policies = open_policies(settings)
    grant = _everything(policies)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        store = stack.enter_context(closing(open_store(settings)))
        answers = open_answers(settings, policies, vault)
        subject = Subject(person_id=args.subject)
        if ":" in args.subject:
            node_key(args.subject, settings, policies, open_tokens(vault))
            kind, value = _identifier(args.subject)
            subject = Subject()
            subject.identifier.kind, subject.identifier.value = kind, value
        held = answers.get(store, pb.GetConsentRequest(subject=subject), grant)
        told = answers.history(store, pb.ListConsentDecisionsRequest(subject=subject), grant)
    if isinstance(held, Refused):
        return refused(held)
    assert not isinstance(told, Refused), "both are asked about the same person"
    if args.json:
        found = _as_json(held)
        if args.history:
            found["entries"] = _as_json(told).get("entries", [])
        print_json(found)
        return OK
    _print(held)
    if args.history:
        print("history, latest first:" if told.entries else "history: nobody decided anything")
        for entry in told.entries:
            print(f"  {_entry(entry)}: {entry.standing}")
    return OK


def _refuse_flags_of_record(args: argparse.Namespace) -> None:
    """Whoever gives them to `show` may believe that something was recorded."""
    given = {
        "--purpose": args.purpose, "--grant": args.grant, "--withdraw": args.withdraw,
        "--source": args.source, "--text-version": args.text_version, "--place": args.place,
        "--at": args.at, "--signal-id": args.signal_id,
    }  # fmt: skip
    problems = [f"{flag}: only with record; show changes nothing" for flag in given if given[flag]]
    if problems:
        raise SettingsError(problems)


def _record(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    request = _request(args)
    policies = open_policies(settings)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        node_key(args.subject, settings, policies, open_tokens(vault))
        store = stack.enter_context(closing(open_store(settings)))
        answers = open_answers(settings, policies, vault)
        recorder = open_recorder(settings, policies, vault, answers, store)
        recorded = recorder.record(request, _everything(policies))
        if isinstance(recorded, Refused):
            return refused(recorded)
        if not settings.pulsar.url:
            settle(settings, policies, vault, store)
    if args.json:
        print_json({"signal_id": recorded.signal_id})
    else:
        print(f"recorded as signal {recorded.signal_id} of {request.source}")
    return OK


def _everything(policies: Policies) -> Grant:
    """Whoever may use the home folder is told of all."""
    return unlimited(policies.purposes).callers[0].grant


def _request(args: argparse.Namespace) -> pb.RecordConsentRequest:
    """The decision that the flags name.

    Raises:
        SettingsError: with everything that is missing, by flag.
    """
    problems = ["--history: only with show"] if args.history else []
    if ":" not in args.subject:
        problems.append("subject: name an identifier as KIND:VALUE; decisions bind no person id")
    if not args.purpose:
        problems.append("--purpose: name at least one, for example --purpose marketing")
    if not args.grant and not args.withdraw:
        problems.append("--grant or --withdraw: say which")
    if not args.source:
        problems.append("--source: say on whose word, for example --source call_centre")
    at_us = rfc3339_us(args.at) if args.at else None
    if args.at and at_us is None:
        problems.append("--at: write RFC 3339, for example 2026-03-01T12:00:00Z")
    if problems:
        raise SettingsError(problems)
    kind, value = _identifier(args.subject)
    request = pb.RecordConsentRequest(
        source=args.source,
        signal_id=args.signal_id,
        text_version=args.text_version,
        place=args.place,
        choices=[pb.PurposeChoice(purpose=one, granted=args.grant) for one in args.purpose],
    )
    request.identifier.kind, request.identifier.value = kind, value
    if at_us is not None:
        request.decided_at.FromMicroseconds(at_us)
    return request


def _identifier(named: str) -> tuple[str, str]:
    kind, _, value = named.partition(":")
    if kind == "external":
        name, _, value = value.partition(":")
        kind = f"{kind}:{name}"
    return kind, value


def _as_json(message: Any) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _print(held: pb.GetConsentResponse) -> None:
    print(f"person {held.person_id}")
    for entry in held.set_apart:
        since = _moment(entry)
        print(f"  {entry.purpose} in force since {since} by {entry.source}: served to no one")
    for state in held.states:
        print(f"  {'yes' if state.granted else 'no ':3}  {state.purpose}: {state.why}")
        if state.HasField("decision"):
            print(f"         {_entry(state.decision)}")


def _entry(entry: pb.ConsentEntry) -> str:
    since = _moment(entry)
    said = "granted" if entry.granted else "withdrawn"
    if entry.purpose in RESERVED:
        said = "ended" if entry.granted else "put in force"
    proof = ", ".join(
        words
        for words in (
            f"by {entry.source}",
            f"text {entry.text_version}" if entry.text_version else "",
            f"at {entry.place}" if entry.place else "",
        )
        if words
    )
    under = ", ".join(sorted({one.kind for one in entry.identifiers}))
    return f"{entry.purpose} {said} {since} {proof}, under {under}"


def _moment(entry: pb.ConsentEntry) -> str:
    at = entry.effective_at.ToMicroseconds() / 1_000_000
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
