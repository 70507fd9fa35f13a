"""`kinfold audit`: the log of decisions, requests, exports and erasures, shown and proved."""

from __future__ import annotations

import argparse
import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from identity.tokens import Tokens
from kinfold.auditing import open_audit
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import FAILED, OK, fail, print_json
from kinfold.keys import chain_of
from kinfold.settings import Settings, SettingsError
from kinfold.wiring import node_key, open_policies, open_vault
from profiles import merkle
from profiles.audit import AuditLog, Head, Kind, token

_EXAMPLES = """  kinfold audit show --last 20
  kinfold audit show --kind consent --of email:ann@example.org --json
  kinfold audit verify                        (prints size and root: keep them elsewhere)
  kinfold audit verify --since 4711:9f86d0…   (begins with what it was then)
  kinfold audit prove 17 > proof.json
  kinfold audit verify --proof proof.json     (or a receipt: kinfold privacy receipt r-18 --json)
"""
_SINCE = re.compile(r"(\d{1,15}):([0-9a-f]{64})")


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "audit",
        "show, verify or prove the log of decisions, requests, exports and erasures",
        examples=_EXAMPLES,
        sections=("home", "graph"),
    )
    parser.add_argument("act", choices=("show", "verify", "prove"), help="what to do")
    parser.add_argument("index", nargs="?", type=int, metavar="INDEX", help="prove: which entry")
    parser.add_argument("--kind", choices=[kind.value for kind in Kind], help="show: only these")
    parser.add_argument("--of", metavar="KIND:VALUE", help="show: only about this identifier")
    parser.add_argument("--last", type=int, metavar="N", help="show: only the last so many")
    parser.add_argument("--since", metavar="SIZE:ROOT", help="verify: it begins with what was kept")
    parser.add_argument(
        "--proof", metavar="FILE", help="verify: this proof, or receipt, is of this log"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show, verify or prove. 0: done, and the log is sound; 1: it is not; 2: asked wrongly."""
    settings = settings_of(args)
    problems = _problems(args)
    if problems:
        raise SettingsError(problems)
    with closing(open_vault(settings)) as vault:
        key = vault.audit_key()
        with closing(open_audit(settings, vault)) as log:
            if args.act == "show":
                return _show(settings, log, key, args)
            return _verify(log, args) if args.act == "verify" else _prove(log, args)


def _problems(args: argparse.Namespace) -> list[str]:
    """What does not go with the act: heeded by nobody, it would seem to have been looked at."""
    acts = {
        "INDEX": ("prove", args.index), "--kind": ("show", args.kind), "--of": ("show", args.of),
        "--last": ("show", args.last), "--since": ("verify", args.since),
        "--proof": ("verify", args.proof),
    }  # fmt: skip
    problems = [
        f"{flag}: only with {act}"
        for flag, (act, given) in acts.items()
        if given is not None and act != args.act
    ]
    if args.last is not None and args.last < 1:
        problems.append("--last: name 1 or more")
    return problems


def _tokens_of(settings: Settings, key: bytes, named: str) -> set[str]:
    """An identifier's tokens in the log: under the token keys of now, and of every time before."""
    with closing(open_vault(settings)) as vault:
        chain, order = chain_of(vault), vault.order_key()
    policies = open_policies(settings)
    names = {
        node_key(named, settings, policies, Tokens(chain[:keys], order))
        for keys in range(1, len(chain) + 1)
    }
    return {token(key, "node\0" + name) for name in names}


def _show(settings: Settings, log: AuditLog, key: bytes, args: argparse.Namespace) -> int:
    about = _tokens_of(settings, key, args.of) if args.of else None
    found = []
    for index, body in enumerate(log.entries()):
        entry = orjson.loads(body)
        if (not args.kind or entry["kind"] == args.kind) and (
            about is None or not about.isdisjoint(entry["about"])
        ):
            found.append({"index": index, **entry})
    for entry in found[-args.last :] if args.last else found:
        if args.json:
            print_json(entry)
        else:
            print(_line(entry))
    if not found and not args.json:
        print("no such entries")
    return OK


def _line(entry: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(entry["at_us"] / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    what = ", ".join(
        f"{name.removeprefix('purpose:')} {_word(said)[:8] if name == 'staff' else _word(said)}"
        for name, said in entry["what"].items()
        if not name.endswith("_us")
    )
    about = ", ".join(one[:8] for one in entry["about"])
    of = f"  about {about}" if about else ""
    return f"{entry['index']:8}  {at}  {entry['kind']:10}  by {entry['by']}  {what}{of}"


def _word(said: object) -> str:
    return {True: "yes", False: "no"}[said] if isinstance(said, bool) else str(said)


def _verify(log: AuditLog, args: argparse.Namespace) -> int:
    since = _since(args.since) if args.since else None
    proofs = _read(args.proof) if args.proof else []
    damaged = log.damaged_at()
    if damaged is not None:
        return fail(
            f"the log was changed at entry {damaged}", "put it back from its backup", FAILED
        )
    head = log.head()
    if since is not None:
        path = log.consistency(since.size) if since.size <= head.size else ()
        if not merkle.extends(since.size, since.root, head.size, head.root, path):
            return fail(
                "the log does not begin with what it was then",
                "entries were taken out or changed; put it back from its backup",
                FAILED,
            )
    if not all(_holds(log, proof) for proof in proofs):
        return fail("the proof does not hold", "was it made from this log?", FAILED)
    told = {"size": head.size, "root": head.root.hex(), "sound": True}
    if args.json:
        print_json(told)
    else:
        print(f"sound: {head.size:,} entries")
        if since is not None:
            print(f"begins with the {since.size:,} entries of then")
        for proof in proofs:
            print(f"has the proof's entry {proof['index']:,}, word for word")
        print(f"keep elsewhere: {head.size}:{head.root.hex()}")
    return OK


def _since(text: str) -> Head:
    match = _SINCE.fullmatch(text)
    if match is None:
        raise SettingsError(["--since: write SIZE:ROOT as `kinfold audit verify` prints it"])
    return Head(int(match[1]), bytes.fromhex(match[2]))


def _read(path: str) -> list[dict[str, Any]]:
    """The proof in a file, or those of a receipt."""
    try:
        found = orjson.loads(Path(path).read_bytes())
        proofs = [_proof(one) for one in found.get("entries", [found])]
    except OSError as error:
        raise SettingsError([f"--proof: cannot read {path}: {error.strerror}"]) from None
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        proofs = []
    if not proofs:
        words = "neither a proof of `kinfold audit prove` nor a receipt of `privacy receipt`"
        raise SettingsError([f"--proof: {path} is {words}, as JSON"])
    return proofs


def _proof(said: dict[str, Any]) -> dict[str, Any]:
    """One proof; a receipt has its numbers as text, and leaves out a path of nothing."""
    path = [str(step) for step in said.get("path", [])]
    bytes.fromhex("".join([said["root"], *path]))
    if not isinstance(said["entry"], str):
        raise TypeError
    return {
        "index": int(said.get("index", 0)),
        "size": int(said["size"]),
        "root": said["root"],
        "entry": said["entry"],
        "path": path,
    }


def _holds(log: AuditLog, proof: dict[str, Any]) -> bool:
    """Whether a proof shows its entry in a list with its head, and this log begins with that."""
    size, root = proof["size"], bytes.fromhex(proof["root"])
    head = log.head()
    if size > head.size:
        return False
    path = [bytes.fromhex(step) for step in proof["path"]]
    leaf = merkle.leaf_hash(proof["entry"].encode())
    return merkle.includes(leaf, proof["index"], size, path, root) and merkle.extends(
        size, root, head.size, head.root, log.consistency(size)
    )


def _prove(log: AuditLog, args: argparse.Namespace) -> int:
    size = log.head().size
    if args.index is None or not 0 <= args.index < size:
        known = f"from 0 to {size - 1}; audit show lists them" if size else "when there is one"
        raise SettingsError([f"INDEX: name an entry {known}"])
    proof = log.inclusion(args.index)
    print_json(
        {
            "index": proof.place,
            "size": proof.head.size,
            "root": proof.head.root.hex(),
            "entry": proof.entry.decode(),
            "path": [step.hex() for step in proof.path],
        }
    )
    return OK
