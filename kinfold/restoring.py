"""What was put back from a backup serves nothing until the deletion ledger was applied to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from identity.model import NodeKey
from identity.store import GraphStore, KeyAge, StoreUnavailable
from identity.tokens import rekeying
from ingest.dead_letters import LettersUnavailable
from kinfold.erasing import erased_as
from kinfold.feeds import local_feed, settle_into
from kinfold.intaking import letters_about
from kinfold.keys import chain_of
from kinfold.letters import open_letters
from kinfold.older_keys import outgrow_lost_keys, outgrown
from kinfold.privacy import open_book
from kinfold.privacy_places import open_erasing, open_ledger
from kinfold.rotating import begin
from kinfold.settings import Settings
from kinfold.wiring import (
    Policies,
    now_us,
    open_intake,
    open_policies,
    open_store,
    open_vault,
    open_view,
    owner_name,
)
from profiles.deletions import Erasure
from profiles.read_view import PROFILE, ReadView
from profiles.sealing import epoch_of
from profiles.vault import KeyVault

_AT_ONCE = 10_000
_RENAME_MS = 600_000


class Restored(NamedTuple):
    """What had to be done again: nodes fenced, erasures gone on with, dead letters removed."""

    fences: int
    finished: int
    letters: int

    @property
    def anything(self) -> bool:
        """Whether there was anything to do."""
        return any(self)


def apply_ledger(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    store: GraphStore,
    view: ReadView | None = None,
) -> Restored:
    """Bring a graph, and this process's read view where it has one, up to the deletion ledger.

    0. Seal by a key of its own, if the key store is from before the graph's last rotation;
       name nodes as the token keys in force do, if the graph is from before they rotated.
    1. Raise the fences that the graph lacks, and sweep what they keep out. Then, and
       after 0, views begin anew, with a rotation where they follow a topic.
    2. Go on with erasures that were cut short.
    3. Resolve and publish what that changed, and clear the view if it still shows
       somebody erased, or profiles whose key is destroyed: it is filled anew.
    4. Forget what requests from before an erasure say of who was erased.
    5. Remove dead letters from before an erasure that name who was erased.

    Keys that came back with a vault are destroyed as soon as it is opened.

    Where nothing was put back, it reads the ledger and the fences, once; and all
    dead letters, if somebody was erased since it did so last. Call it before
    anything is served or taken in.

    Raises:
        LedgerError, StoreError, LettersError, RegisterError,
        RequestsError, AuditError, FeedError: do not go on without.
    """
    anew = outgrow_lost_keys(vault, store)
    anew = _rename(vault, store) or anew
    if view is not None and _is_unreadable(view, vault):
        view.clear()
    with closing(open_ledger(settings, vault)) as ledger:
        wanted = ledger.fences()
        erasures = ledger.erasures()
        cut = [one for one in erasures if one.finished_us is None]
        done = [one for one in erasures if one.finished_us is not None]
        until_us = {
            name: min(one.begun_us, until)
            for one in done
            for name, until in erased_as(store, ledger, one).items()
        }
    lacking = _lacking(store, wanted)
    if lacking:
        store.fence(lacking)
        store.sweep(lacking)
    # Where views follow a topic, what waits to be published is not for one of them alone.
    alone = None if settings.pulsar.url else view
    if lacking or anew:
        _start_anew(vault, alone)
        outgrown(vault)
    settle_up = None
    if alone is not None:
        settle_up = partial(settle_into, settings, policies, vault, store, local_feed(alone))
    if until_us:
        _forget_said(settings, policies, vault, until_us)
    letters = _remove_letters(settings, policies, vault, done)
    if cut:
        with open_erasing(settings, policies, vault, store, settle_up=settle_up) as erasing:
            erasing.finish_all()
    if view is not None:
        # What waits to be published may be all that it lacks; filling it anew takes far longer.
        if settle_up is not None and (lacking or _shows_erased(view, store, wanted)):
            settle_up()
        if _shows_erased(view, store, wanted):
            view.clear()
    return Restored(len(lacking), len(cut), letters)


def _forget_said(
    settings: Settings, policies: Policies, vault: KeyVault, until_us: Mapping[NodeKey, int]
) -> None:
    """A store of requests put back may say again what an erasure had forgotten."""
    book = open_book(settings, policies, vault)
    with closing(book.requests), closing(book.means.log):
        book.forget_all(until_us, "kinfold")


def _remove_letters(
    settings: Settings, policies: Policies, vault: KeyVault, done: Sequence[Erasure]
) -> int:
    """Remove dead letters that an erasure removed before; how many there were.

    A topic of them that cannot be reached just now is left to the next start.
    """
    if not done:
        return 0
    try:
        with closing(open_letters(settings)) as letters:
            wanted, chain = _deletions(done), chain_of(vault)
            if letters.applied() == wanted:
                return 0
            intake = open_intake(settings, policies, vault)
            about = letters_about(settings, policies, vault, intake)
            back = list(about.received_by(letters.all(), _gone_us(settings, vault, done)))
            letters.remove(back)
            # Named anew meanwhile, some were looked for by names that they no longer have.
            if chain_of(vault) == chain:
                letters.set_applied(wanted)
            return len(back)
    except LettersUnavailable:
        if settings.pulsar.url:
            return 0
        raise


def _deletions(done: Iterable[Erasure]) -> str:
    """A name for these erasures: no others have it."""
    told = sorted(f"{one.request}\0{one.finished_us}" for one in done)
    return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def _gone_us(settings: Settings, vault: KeyVault, done: Iterable[Erasure]) -> dict[NodeKey, int]:
    """Up to when no letter that names a node is to be there: an erasure removes all it finds."""
    gone_us: dict[NodeKey, int] = {}
    with closing(open_ledger(settings, vault)) as ledger:
        for one in done:
            for key, until_us in ledger.fences(one.request).items():
                gone_us[key] = max(until_us, one.finished_us or 0, gone_us.get(key, 0))
    return gone_us


def _rename(vault: KeyVault, store: GraphStore) -> bool:
    """Bring a graph's names up to the token keys in force; whether it was behind.

    Raises:
        StoreUnavailable: another process resolves, and will do it or be done soon.
    """
    chain, keys = chain_of(vault), store.keys()
    named = max(keys.tokens, 1)
    if named >= len(chain):
        return False
    now_ms = now_us() // 1_000
    owner = owner_name()
    lease = store.acquire_lease(owner, now_ms, _RENAME_MS)
    if lease is None:
        raise StoreUnavailable("another process resolves a graph that is behind the token keys")
    store.rekey(lease, rekeying(chain[named:]), KeyAge(keys.epoch, len(chain)))
    store.acquire_lease(owner, now_ms, 0)
    return True


def _start_anew(vault: KeyVault, view: ReadView | None) -> None:
    """A graph put back counts its resolutions from where it was: views that know later ones

    would heed nothing that it says. Where they follow a topic, a rotation begins another.
    """
    if view is not None:
        view.clear()
    else:
        begin(vault, now_us())


def _is_unreadable(view: ReadView, vault: KeyVault) -> bool:
    """Whether a view is from before a rotation: each has a file of its own, under one epoch."""
    sealed = next((one.sealed for _, one in view.everything() if one.state == PROFILE), None)
    return sealed is not None and epoch_of(sealed) not in vault.epochs()


def _shows_erased(view: ReadView, store: GraphStore, wanted: Mapping[NodeKey, int]) -> bool:
    """Whether a view leads from an erased node to somebody, as the graph does not."""
    shown = {key: person for key in wanted if (person := view.person_of(key)) is not None}
    known = store.person_of(shown) if shown else {}
    return any(known.get(key) != person for key, person in shown.items())


def _lacking(store: GraphStore, wanted: Mapping[NodeKey, int]) -> dict[NodeKey, int]:
    keys = sorted(wanted)
    lacking = {}
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        held = store.fences(some)
        lacking.update({key: wanted[key] for key in some if held.get(key, 0) < wanted[key]})
    return lacking


def brought_up(
    settings: Settings, policies: Policies, vault: KeyVault, view: ReadView | None = None
) -> Restored:
    """As `apply_ledger`, of the graph that the settings name, and the view at home unless one
    is given. Raises: as there, and ViewError.
    """
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(settings)))
        if view is None and not settings.pulsar.url:
            view = stack.enter_context(closing(open_view(settings)))
        return apply_ledger(settings, policies, vault, store, view)


def bring_up(settings: Settings) -> None:
    """As `brought_up`, for whoever opens the home only afterwards. Raises: as there."""
    with closing(open_vault(settings)) as vault:
        brought_up(settings, open_policies(settings), vault)
