"""`kinfold review`: pairs of records that the model neither links nor leaves, decided by staff."""

from __future__ import annotations

import argparse
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing

from identity.matching.index import MatchIndex
from identity.matching.model import MatchModel
from identity.matching.review import Case, case_json, case_lines, queue
from identity.matching.score import Bar
from identity.matching.verdict import Verdict, thresholds
from identity.model import RECORD_KIND, NodeKey
from identity.policy import EXTERNAL
from identity.store import GraphStore
from identity.tokens import Tokens
from ingest.staff_signals import StaffSignals
from ingest.v1.signal_pb2 import Identifier, LinkEnd, SignalName
from kinfold.auditing import desk_ids
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, Advance, fail, print_json, progress
from kinfold.cli.refusals import refused
from kinfold.comparing import record_comparer
from kinfold.consents import open_put
from kinfold.feeds import settle
from kinfold.models import RECORDS
from kinfold.settings import Settings, SettingsError
from kinfold.wiring import (
    Policies,
    node_key,
    now_us,
    open_intake,
    open_models,
    open_policies,
    open_sealer,
    open_store,
    open_tokens,
    open_vault,
)

_EXAMPLES = """  kinfold review list --limit 5
  kinfold review decide record:3q…Zw record:9x…Qg --not-same
  kinfold review decide record:crm:1017 record:shop:4711 --same
"""
_PAGE = 500
_TOKEN_CHARS = 22


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb and what it can do to the command line."""
    parser = verb(
        subparsers,
        "review",
        "list pairs that await a decision, and decide them",
        examples=_EXAMPLES,
        sections=(),
    )
    parser.set_defaults(
        run=lambda _: fail("say list or decide", "kinfold review --help", ASKED_WRONGLY)
    )
    parts = parser.add_subparsers(title="what to do", metavar="WHAT", dest="what")
    listing = verb(
        parts, "list", "the pairs that await a decision, likeliest first",
        examples="  kinfold review list --limit 5\n", sections=("home", "graph"),
    )  # fmt: skip
    listing.add_argument("--limit", type=int, default=20, help="show at most so many (default 20)")
    listing.add_argument("--json", action="store_true", help="print as JSON")
    listing.set_defaults(run=run_list)
    deciding = verb(
        parts, "decide", "say whether two records or identifiers are one person",
        examples="  kinfold review decide record:crm:1017 record:shop:4711 --same\n",
        sections=("home", "graph", "ingest", "pulsar"),
    )  # fmt: skip
    for name in ("left", "right"):
        deciding.add_argument(
            name, metavar="NODE", help="as listed, record:SOURCE:SIGNAL_ID, or KIND:VALUE"
        )
    verdict = deciding.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--same", action="store_true", help="they are one person")
    verdict.add_argument("--not-same", action="store_true", help="they are two people")
    deciding.add_argument("--source", default="staff", help="who decides (default staff)")
    deciding.set_defaults(run=run_decide)


def run_list(args: argparse.Namespace) -> int:
    """List what awaits a decision. 2: no model is in force."""
    settings = settings_of(args)
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:
        models = open_models(settings, vault)
        pin = models.active(RECORDS)
        if pin is None:
            return fail(
                "no match model is in force", "kinfold model train, then activate", ASKED_WRONGLY
            )
        model = models.load(RECORDS, pin)
        comparer = record_comparer(model, open_tokens(vault), open_sealer(vault))
        index = MatchIndex(store, [comparer])
        if store.model() != index.model:
            return fail(
                "the graph is not resolved under the model in force yet",
                "kinfold run, serve or ingest resolves it",
            )
        with progress("review", None, args.json) as advance:
            cases = queue(_undecided(store, index, model, advance), model, limit=args.limit)
    _print(cases, as_json=args.json)
    return OK


def _undecided(
    store: GraphStore, index: MatchIndex, model: MatchModel, advance: Advance
) -> Iterator[tuple[str, str, int, Sequence[Bar]]]:
    """Pairs to review of records that are two people and that staff has not decided."""
    bounds, after, seen = thresholds(model), "", 0
    while keys := store.nodes_of(RECORD_KIND, after, _PAGE):
        after, seen = keys[-1], seen + len(keys)
        pairs = {
            (key, other): mbits
            for key, links in index.links(keys).items()
            for other, mbits in links.items()
            if key < other and bounds.verdict(mbits) is Verdict.REVIEW
        }
        ends = {end for pair in pairs for end in pair}
        people = store.person_of(ends)
        decided = {tuple(sorted((one.left, one.right))) for one in store.decisions(ends)}
        for (low, high), mbits in pairs.items():
            if people.get(low) != people.get(high) and (low, high) not in decided:
                yield low, high, mbits, index.explain(low, high)
        index.forget()
        advance(seen)


def _print(cases: Sequence[Case], *, as_json: bool) -> None:
    if as_json:
        print_json([case_json(case) for case in cases])
        return
    width = min(shutil.get_terminal_size().columns, 100)
    for number, case in enumerate(cases, 1):
        print("\n".join(case_lines(case, number, width)), end="\n\n")
    if not cases:
        print("nothing awaits a decision")


def run_decide(args: argparse.Namespace) -> int:
    """Decide a pair: a signal of staff like any other, through the topic where Pulsar is set.

    2: an end or the source is not usable.
    """
    settings = settings_of(args)
    policies = open_policies(settings)
    if args.source not in policies.identity.deciders:
        known = ", ".join(sorted(policies.identity.deciders)) or "none has it"
        raise SettingsError([f"--source: needs may_decide in the policy; sources with it: {known}"])
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:
        tokens = open_tokens(vault)
        left, right = (_end(end, settings, policies, tokens) for end in (args.left, args.right))
        if left == right:
            raise SettingsError(["NODE: name two different ends"])
        people = store.person_of((left, right))
        for place, end in (("first", left), ("second", right)):
            if end not in people:
                return fail(f"the {place} end is not known", "has its signal been ingested?")
        intake = open_intake(settings, policies, vault)
        put = open_put(settings, vault, store, intake)
        wrong = StaffSignals(args.source, intake, put, desk_ids(vault), now_us).decide(
            _link_end(args.left), _link_end(args.right),
            f"review-{secrets.token_hex(16)}", now_us(), same=args.same,
        )  # fmt: skip
        if wrong is not None:
            return refused(wrong)
        if settings.pulsar.url:
            print("decided; it counts when consumers have read it from the topic")
            return OK
        settle(settings, policies, vault, store)
        people = store.person_of((left, right))
    same = people.get(left) == people.get(right)
    print(f"decided; the two are {'one person' if same else 'two people'} now")
    return OK


def _end(named: str, settings: Settings, policies: Policies, tokens: Tokens) -> NodeKey:
    return named if _is_token(named) else node_key(named, settings, policies, tokens)


def _link_end(named: str) -> LinkEnd:
    """As a signal names it: by the value, by the record's signal, or by the record's token."""
    kind, _, value = named.partition(":")
    if _is_token(named):
        return LinkEnd(record_token=value)
    if kind == RECORD_KIND:
        source, _, signal_id = value.partition(":")
        return LinkEnd(record=SignalName(source=source, signal_id=signal_id))
    if kind == EXTERNAL:
        name, _, value = value.partition(":")
        kind = f"{kind}:{name}"
    return LinkEnd(identifier=Identifier(kind=kind, value=value))


def _is_token(named: str) -> bool:
    """Whether it is a record as it is listed."""
    kind, _, token = named.rpartition(":")
    return kind == RECORD_KIND and len(token) == _TOKEN_CHARS
