"""`kinfold privacy export` and `open`: packages of everything held, written and read as files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from google.protobuf.message import Message

from identity.refused import Refused
from kinfold.cli import privacy_telling as telling
from kinfold.cli.output import OK, fail, print_json
from kinfold.cli.refusals import refused
from kinfold.settings import SettingsError
from profiles.v1 import privacy_service_pb2 as pb

Answer = Callable[[str, Message], Any]


def export(args: argparse.Namespace, staff: str, answer: Answer) -> int:
    """Make the package that answers a request; nothing is done where it cannot be written."""
    asked = pb.ExportRequest(request_id=args.request, staff=staff, as_one=args.as_one)
    with _new_file(args.out) as (file, keep):
        found = answer("Export", asked)
        if isinstance(found, Refused):
            return refused(found)
        try:
            file.write(found.package)
            file.flush()
        except OSError as error:
            return fail(
                f"--out: cannot write {args.out}: {error.strerror}",
                "make room, then export it again: this package's key is of no use",
            )
        keep()
    expires = telling.moment(found.expires_at)
    if args.json:
        print_json({"package": str(args.out), "key": found.key, "expires": expires})
        return OK
    print(f"{args.out}\nkey: {found.key}\nkept nowhere else: hand it over by another way")
    print(f"opens until {expires} UTC, with kinfold privacy open")
    return OK


def open_package(args: argparse.Namespace, staff: str, answer: Answer) -> int:
    """Open a package into a new folder. 1: it cannot be opened; 2: files named wrongly."""
    try:
        package = args.package.read_bytes()
    except OSError as error:
        raise SettingsError([f"FILE: cannot read {args.package}: {error.strerror}"]) from None
    asked = pb.OpenRequest(request_id=args.request, package=package, key=args.key, staff=staff)
    try:
        args.out.mkdir(mode=0o700)
    except OSError as error:
        raise _cannot_make(args.out, error) from None
    found = answer("Open", asked)
    if isinstance(found, Refused):
        args.out.rmdir()
        return refused(found)
    written = []
    for name, body in (("report.json", found.json), ("report.html", found.html)):
        if body:
            with _new_file(args.out / name) as (file, keep):
                file.write(body)
                keep()
            written.append(str(args.out / name))
    if args.json:
        print_json({"files": written})
    else:
        print("\n".join(written))
    return OK


@contextmanager
def _new_file(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], None]]]:
    """A new file that nobody else may read; it goes again unless it is said to be kept.

    Raises:
        SettingsError: it cannot be made there.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _cannot_make(path, error) from None
    kept: list[bool] = []
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, lambda: kept.append(True)
    finally:
        if not kept:
            path.unlink(missing_ok=True)


def _cannot_make(path: Path, error: OSError) -> SettingsError:
    if isinstance(error, FileExistsError):
        return SettingsError([f"--out: {path} is there already; name a new place"])
    words = f"--out: cannot make {path}: {error.strerror}; name a place in a folder that is yours"
    return SettingsError([words])
