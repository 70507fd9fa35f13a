"""`kinfold get`: look one profile up, as a decision engine would."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from datetime import date, timedelta
from typing import cast

import grpc
from google.protobuf.json_format import MessageToDict

from identity.refused import Refused
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, FAILED, OK, fail, print_json
from kinfold.feeds import keep_fresh
from kinfold.settings import Settings
from kinfold.wiring import now_us, open_lookup, open_policies, open_vault, open_view
from profiles.access import unlimited
from profiles.serve.errors import INVALID_ARGUMENT, proto_of
from profiles.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub

_EXAMPLES = """  kinfold get email:ann@example.org --for personalisation
  kinfold get 7mbo5n2ecnlkdgwdmqvq4zs3ya --for service --fields attributes,devices --json
  kinfold get login:ann --for marketing --local      (no server running)
"""
_TIMEOUT_S = 5.0
_FIRST_DAY = date(1970, 1, 1)


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "get",
        "look one profile up, as a decision engine would",
        examples=_EXAMPLES,
        sections=("home", "graph", "serve"),
    )
    parser.add_argument("subject", metavar="ID|KIND:VALUE", help="a person id or an identifier")
    parser.add_argument(
        "--for", dest="purposes", default="", metavar="P,…", help="what it will be used for"
    )
    parser.add_argument("--fields", default="", metavar="F,…", help="fields wanted (default all)")
    parser.add_argument(
        "--local", action="store_true", help="read this home's view instead of asking a server"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the profile. 0: found; 1: not, or no server; 2: asked wrongly."""
    settings = settings_of(args)
    request = request_of(args.subject, _words(args.purposes), _words(args.fields))
    if args.local:
        return _local(settings, request, args.json)
    with grpc.insecure_channel(settings.serve.listen) as channel:
        try:
            answer = ProfileServiceStub(channel).GetProfile(request, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            return _failed(error)
    return _show(answer, args.json)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def request_of(subject: str, purposes: list[str], fields: list[str]) -> GetProfileRequest:
    """The request for a person id, or for an identifier named as `KIND:VALUE`."""
    request = GetProfileRequest(purposes=purposes)
    if ":" in subject:
        kind, _, value = subject.partition(":")
        if kind == "external":
            name, _, value = value.partition(":")
            kind = f"{kind}:{name}"
        request.subject.identifier.kind = kind
        request.subject.identifier.value = value
    else:
        request.subject.person_id = subject
    request.mask.paths.extend(fields)
    return request


def _local(settings: Settings, request: GetProfileRequest, as_json: bool) -> int:
    policies = open_policies(settings)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        view = stack.enter_context(closing(open_view(settings)))
        stack.enter_context(keep_fresh(settings, policies, vault, view))
        found = open_lookup(settings, policies, vault, view).get(
            request, now_us(), unlimited(policies.purposes).callers[0].grant
        )
    if isinstance(found, Refused):
        asked_wrongly = found.code == INVALID_ARGUMENT
        return _refused(proto_of(found).message, asked_wrongly=asked_wrongly)
    return _show(GetProfileResponse.FromString(found), as_json)


def _failed(error: grpc.RpcError) -> int:
    call = cast("grpc.Call", error)  # a failed call raises itself
    if call.code() is grpc.StatusCode.UNAVAILABLE:
        return fail("no server answers", "start `kinfold serve`, or add --local")
    asked_wrongly = call.code() is grpc.StatusCode.INVALID_ARGUMENT
    return _refused(str(call.details()), asked_wrongly=asked_wrongly)


def _refused(words: str, *, asked_wrongly: bool) -> int:
    code = ASKED_WRONGLY if asked_wrongly else FAILED
    return fail(words, "docs/errors.md explains each reason", code)


def _show(answer: GetProfileResponse, as_json: bool) -> int:
    told = MessageToDict(answer, preserving_proto_field_name=True)
    if as_json:
        print_json(told)
        return OK
    print(f"person {answer.person_id}, version {answer.version}")
    for field, value in told.get("profile", {}).items():
        print(f"{field}:")
        for line in value if isinstance(value, list) else [value]:
            print(f"  {_line(line)}")
    if answer.withheld:
        print(f"withheld: {', '.join(answer.withheld)}")
    return OK


def _line(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{key} {_read(key, part)}" for key, part in value.items())
    return str(value)


def _read(name: str, value: object) -> str:
    """A value as people read it: a day is a date, not a number of days."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_day"):
        return (_FIRST_DAY + timedelta(days=value)).isoformat()
    return _line(value)
