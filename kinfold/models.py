"""Match models as files: `models/FINGERPRINT.json` in the home folder, each pinned by its hash.

A file whose content does not give its name is refused. Beside a model lies its
card, `FINGERPRINT.card.json`: where it came from and what was measured then.
Which model is in force stands in `active-KIND.json`, with those before it, so
that going back is always possible. Every file appears whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from identity.matching import model as records_model
from identity.matching.devices import model as devices_model
from identity.matching.devices.model import DeviceModel, DeviceModelDamaged
from identity.matching.model import MatchModel, ModelDamaged
from kinfold.model_errors import ModelRefused, ModelsUnusable, ModelUnknown

M = TypeVar("M")
FORMAT = 1
_NAME = re.compile(r"(?P<pin>[0-9a-f]{16,64})\.json")
_SHORTEST = 4
"""Digits of a fingerprint that may stand for it."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[M]):
    """One kind of model: its name, and how its files are written, read and pinned."""

    name: str
    write: Callable[[M], str]
    read: Callable[[str], M]
    pin: Callable[[M], str]


RECORDS: Kind[MatchModel] = Kind(
    "records", records_model.to_json, records_model.from_json, records_model.fingerprint
)
DEVICES: Kind[DeviceModel] = Kind(
    "devices", devices_model.to_json, devices_model.from_json, devices_model.fingerprint
)
KINDS: tuple[Kind[Any], ...] = (RECORDS, DEVICES)


@dataclass(frozen=True, slots=True)
class Kept:
    """A model in the folder, with its card, and whether it is in force.

    `refused` says why its file cannot be used; then it has neither kind nor model.
    """

    pin: str
    kind: Kind[Any] | None
    model: Any
    card: dict[str, Any]
    active: bool
    refused: str = ""


class Models:
    """The models of one home folder. Several processes may use it at once.

    A model once saved never changes: its name is its content's. `keyed` stands
    for the keys that models here are learnt and used with (`keyed_by`): one
    that was learnt with others is refused, for it would find no term of its own.
    """

    def __init__(self, folder: Path, keyed: str) -> None:
        self._folder = folder
        self._keyed = keyed

    def save(self, kind: Kind[M], model: M, card: dict[str, Any]) -> str:
        """Keep a model with its card and return its fingerprint; saved before: the card is new."""
        pin = kind.pin(model)
        with self._told("written"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The card first: a model that is there has one.
            self._put(f"{pin}.card.json", _text({**card, "format": FORMAT, "keyed": self._keyed}))
            self._put(f"{pin}.json", kind.write(model))
        return pin

    def load(self, kind: Kind[M], name: str) -> M:
        """A model by its fingerprint, or the beginning of it.

        Raises:
            ModelUnknown: none of this kind goes by the name, or several do.
            ModelRefused: the file is not what its name says, or was learnt with other keys.
        """
        pin = self.find(name)
        found = self._read(kind, pin)
        if found is None:
            raise ModelUnknown(f"{pin} is a model for {self.kind_of(pin).name}, not {kind.name}")
        if self.card(pin).get("keyed", self._keyed) != self._keyed:
            raise ModelRefused(f"models/{pin}.json was learnt with the keys of another home")
        return found

    def find(self, name: str) -> str:
        """The one fingerprint that is, or begins with, the name.

        Raises:
            ModelUnknown: there is none, or more than one.
        """
        pins = self._pins()
        found = [pin for pin in pins if pin == name] or [
            pin for pin in pins if len(name) >= _SHORTEST and pin.startswith(name)
        ]
        if len(found) != 1:
            how_many = "several models begin" if found else "no model begins"
            raise ModelUnknown(f"{how_many} with {name}")
        return found[0]

    def kind_of(self, pin: str) -> Kind[Any]:
        """Which kind of model a fingerprint is of.

        Raises:
            ModelRefused: the file is not what its name says.
        """
        for kind in KINDS:
            if self._read(kind, pin) is not None:
                return kind
        raise ModelRefused(f"models/{pin}.json is not a model that this version can read")

    def card(self, pin: str) -> dict[str, Any]:
        """The card beside a model; {} when it is lost."""
        with self._told("read"):
            path = self._folder / f"{pin}.card.json"
            return _document(path) if path.exists() else {}

    def all(self) -> list[Kept]:
        """Every model, by kind and fingerprint; last those that are refused, with the reason."""
        active = {self.active(kind) for kind in KINDS}
        found = []
        for pin in self._pins():
            try:
                kind = self.kind_of(pin)
                model, card = self.load(kind, pin), self.card(pin)
                found.append(Kept(pin, kind, model, card, pin in active))
            except ModelRefused as error:
                found.append(Kept(pin, None, None, {}, pin in active, str(error)))
        return sorted(found, key=lambda kept: (kept.kind.name if kept.kind else "~", kept.pin))

    def active(self, kind: Kind[Any]) -> str | None:
        """The fingerprint of the model in force; None when none is."""
        history = self._history(kind)
        found: str | None = history[-1]["model"] if history else None
        return found

    def activate(self, kind: Kind[Any], pin: str, at: str) -> None:
        """Put a model in force from now on; `at` is the date to remember. In force already: no-op.

        Raises:
            ModelUnknown: it is not there.
            ModelRefused: its file is not what its name says.
        """
        self.load(kind, pin)
        with self._alone():
            history = self._history(kind)
            if not history or history[-1]["model"] != pin:
                self._write_history(kind, [*history, {"model": pin, "at": at}])

    def back(self, kind: Kind[Any], at: str) -> str | None:
        """Put the model before the present one in force again and return it.

        None when there was none before the first: then nothing is scored.

        Raises:
            ModelUnknown: no model is in force, so there is nothing to go back from.
            ModelRefused: the one before is damaged.
        """
        with self._alone():
            history = self._history(kind)
            if not history:
                raise ModelUnknown(f"no model for {kind.name} is in force")
            left = history[:-1]
            before: str | None = left[-1]["model"] if left else None
            if before is not None:
                self.load(kind, before)
                left[-1] = {**left[-1], "back": at}
            self._write_history(kind, left)
        return before

    def _pins(self) -> list[str]:
        with self._told("read"):
            if not self._folder.is_dir():
                return []
            names = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
            return sorted(found["pin"] for found in names if found is not None)

    def _read(self, kind: Kind[M], pin: str) -> M | None:
        """The model; None when it reads as one of another kind."""
        with self._told("read"):
            content = (self._folder / f"{pin}.json").read_bytes()
        try:
            text = content.decode()
            model = kind.read(text)
        except (ModelDamaged, DeviceModelDamaged, UnicodeDecodeError):
            return None
        if kind.write(model) != text or kind.pin(model) != pin:
            raise ModelRefused(f"models/{pin}.json is not what its name says: it was changed")
        return model

    def _history(self, kind: Kind[Any]) -> list[dict[str, Any]]:
        with self._told("read"):
            path = self._folder / f"active-{kind.name}.json"
            if not path.exists():
                return []
            history = _document(path).get("history")
        if not isinstance(history, list) or not all(map(_is_entry, history)):
            raise ModelRefused(f"models/{path.name} is damaged")
        return history

    def _write_history(self, kind: Kind[Any], history: list[dict[str, Any]]) -> None:
        self._put(f"active-{kind.name}.json", _text({"format": FORMAT, "history": history}))

    def _put(self, name: str, text: str) -> None:
        """Whole or not at all, durable when this returns."""
        draft = self._folder / f".{name}.{os.getpid()}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time changes what is in force."""
        with self._told("written"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._told("written"), (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ModelsUnusable(
                f"the models in {self._folder} cannot be {doing}: {error.strerror}"
            ) from None


def keyed_by(key: bytes) -> str:
    """Stands for a matching key without telling it; 16 hexadecimal digits."""
    return hashlib.blake2b(b"matching key", key=key[:64], digest_size=8).hexdigest()


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        raise ModelRefused(f"models/{path.name} is damaged") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ModelRefused(f"models/{path.name} has another format")
    return found


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("model"), str)
