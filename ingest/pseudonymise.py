"""A checked signal to what it contributes: tokens and sealed values; raw values end here."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgpack

from identity import normalize
from identity.forgetting import remembered
from identity.horizons import NO_DAY
from identity.model import (
    DAY_US,
    HOUR_US,
    RECORD_KIND,
    Assurance,
    Contribution,
    EvidenceKind,
    Fact,
    Node,
    NodeKey,
)
from identity.policy import IdentityPolicy
from identity.tokens import Tokens
from ingest import consents, normalise
from ingest.payloads import without
from ingest.raw import (
    Behaviour,
    ConsentDecided,
    Context,
    DeviceSeen,
    Identifiers,
    LinkDecided,
    LinkEnd,
    LoggedIn,
    RawSignal,
    RecordAsserted,
    Retracted,
)
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2
from ingest.validate import says_something
from profiles import contexts
from profiles.consent import RESERVED
from profiles.purposes import PurposePolicy

_NODES_CACHED = 65_536
_CONTEXTS_CACHED = 32_768
_BEHAVIOURS_CACHED = 16_384
_ASSURANCES = (Assurance.NONE, Assurance.NONE, Assurance.CLAIMED, Assurance.AUTHENTICATED)
_SUBJECT_CELLS = {DeviceSeen: ("type:device_seen",), LoggedIn: ("type:logged_in",)}
_DIGEST_OF = b"kinfold signal"
_DIGESTED = len(Context._fields) - 1
"""Fields of a context in every digest; `site`, which came later, only counts where it is said."""
_NETWORK = "network:"
_SLOT_US = 2 * HOUR_US
_SLOTS = DAY_US // _SLOT_US


class Sealer(Protocol):
    """Seals a value so that only `open` with the same context reads it (`profiles.sealing`)."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """The sealed value."""


class _Held(NamedTuple):
    """A usable identifier: its node, its place in order, whether its kind holds context, and
    whether it is somebody's account.
    """

    order: tuple[int, int]
    node: Node
    device: bool
    account: bool


class _Seen(NamedTuple):
    """The usable identifiers of a signal in order, who holds its context, kinds dropped, and how
    many are accounts.
    """

    nodes: tuple[Node, ...]
    device: NodeKey
    blocked: tuple[str, ...]
    accounts: int


class Pseudonymiser:
    """Turns checked signals into contributions under one policy and one set of keys.

    The same content gives the same signal key, digest, nodes and cells every
    time, in any process; only sealed bytes differ. The digest is keyed and made
    of the content as sent, less publish time and order of identifiers, so it
    changes with neither policy, libraries nor token keys.

    Holds bounded caches of raw values in memory: call `renew` after a
    rotation of keys. One object per thread.
    """

    def __init__(
        self,
        policy: IdentityPolicy,
        token_keys: Sequence[bytes],
        order_key: bytes,
        sealer: Sealer,
        region: str | None = None,
        purposes: PurposePolicy | None = None,
    ) -> None:
        """`region` is the country (ISO 3166-1 alpha-2) of phone numbers sent without one;
        `purposes` say what consent strings and Global Privacy Control decide on.
        """
        self.blocked: Counter[str] = Counter()
        """How many identifiers were dropped because policy says they name nobody, by kind."""
        self.attributes_from: Mapping[str, int] = {}
        """The first day that attributes are kept: a record from before is kept without them, under
        the digest of what was sent."""
        self.consents_from = NO_DAY
        """The first day of which decisions on purposes are kept: no yes of before comes in."""
        self._policy, self._sealer, self._region = policy, sealer, region
        self._purposes = purposes or PurposePolicy()
        self._order_key = order_key
        self._tokens = Tokens(token_keys, order_key)
        self._keyed = hashlib.blake2b(digest_size=8, key=order_key[:64], person=_DIGEST_OF)
        self._pack = msgpack.Packer().pack
        self._sources: dict[str, int] = {}
        self._held = remembered(_NODES_CACHED)(self._hold)
        self._seen = remembered(_NODES_CACHED)(self._see)
        self._context = remembered(_CONTEXTS_CACHED)(self._read_context)
        self._network = remembered(_CONTEXTS_CACHED)(self._network_cell)
        self._site = remembered(_CONTEXTS_CACHED)(self._site_cell)
        self._behaviour_cells = remembered(_BEHAVIOURS_CACHED)(normalise.behaviour_cells)
        self._contents: dict[type, Callable[[RawSignal, Any, int], Contribution | Rejected]] = {
            DeviceSeen: self._sighting,
            LoggedIn: self._sighting,
            RecordAsserted: self._record,
            Behaviour: self._behaviour,
            ConsentDecided: self._consent,
            LinkDecided: self._link,
            Retracted: self._retracted,
        }

    def renew(self, token_keys: Sequence[bytes]) -> None:
        """Name identifiers under this chain from now on; forget what was named or sealed."""
        self._tokens = Tokens(token_keys, self._order_key)
        self.forget()

    def forget(self) -> None:
        """Empty every cache."""
        for cached in (self._held, self._seen, self._context, self._network, self._site):
            cached.cache_clear()
        self._behaviour_cells.cache_clear()
        normalise.agent.cache_clear()

    def contribution(self, signal: RawSignal, published_us: int | None) -> Contribution | Rejected:
        """What a signal that `validate.check` let through contributes, or why it cannot.

        `published_us` is the transport's time, used where the signal has none;
        without either it is the event time.
        """
        assert signal.event_us is not None, "validate.check comes first"
        if signal.published_us is not None:
            published_us = signal.published_us
        elif published_us is None:
            published_us = signal.event_us
        return self._contents[type(signal.content)](signal, signal.content, published_us)

    # ---- contents ----------------------------------------------------------

    def _sighting(
        self, signal: RawSignal, content: DeviceSeen | LoggedIn, published_us: int
    ) -> Contribution | Rejected:
        seen = self._usable(signal.identifiers)
        if isinstance(seen, Rejected):
            return seen
        return self._counted(signal, published_us, seen, _SUBJECT_CELLS[type(content)])

    def _expired(self, signal: RawSignal) -> list[str]:
        """Attributes that a record of the signal's day may no longer have."""
        assert signal.event_us is not None
        day = signal.event_us // DAY_US
        return [name for name, first in self.attributes_from.items() if day < first]

    def _behaviour(
        self, signal: RawSignal, content: Behaviour, published_us: int
    ) -> Contribution | Rejected:
        seen = self._usable(signal.identifiers)
        if isinstance(seen, Rejected):
            return seen
        kind, category, _, _, _, channel, campaign = content
        cells = self._behaviour_cells(kind, category, channel, campaign)
        if kind != normalise.PURCHASE:
            return self._counted(signal, published_us, seen, cells)
        place = contexts.of_purchase(self._tokens.signal(signal.source, signal.signal_id))
        payload = self._sealer.seal(normalise.purchase(content), place)
        fact = Fact(EvidenceKind.PURCHASE, (seen.nodes[0].key,), payload)
        return self._counted(signal, published_us, seen, cells, fact)

    def _record(
        self, signal: RawSignal, content: RecordAsserted, published_us: int
    ) -> Contribution | Rejected:
        tidied = normalise.record(content, self._region)
        own = (("email", tidied.email), ("phone", tidied.phone))
        usable = tuple(one for one in own if type(self._held(*one)) is _Held)
        seen = self._usable(signal.identifiers + usable, at_least=0)
        if isinstance(seen, Rejected):
            return seen
        if not seen.nodes and not says_something(tidied):
            return Rejected("identifiers", "blocked", "send an attribute or another identifier")
        key = self._tokens.record(signal.source, signal.signal_id)
        node = Node(key, self._tokens.order("record", f"{signal.source}\0{signal.signal_id}"))
        said = normalise.serialized(tidied)
        if self.attributes_from:
            said = without(said, self._expired(signal))
        payload = self._sealer.seal(said, contexts.of_record(key))
        # The record comes last: what it is seen beside is nearer to a device or person.
        seen = seen._replace(nodes=(*seen.nodes, node), device=seen.device or key)
        fact = Fact(EvidenceKind.RECORD, (key,), payload)
        return self._counted(signal, published_us, seen, (), fact)

    def _consent(
        self, signal: RawSignal, content: ConsentDecided, published_us: int
    ) -> Contribution | Rejected:
        seen = self._usable(signal.identifiers)
        if isinstance(seen, Rejected):
            return seen
        said = consents.said(content, self._purposes, self.consents_from)
        if isinstance(said, Rejected):
            return said
        if signal.source not in self._policy.deciders and any(
            purpose in said["decisions"] for purpose in RESERVED
        ):
            hint = "send restrictions and legal holds through a source with may_decide"
            return Rejected("source", "may_decide", hint)
        payload = self._pack(said)
        subjects = tuple(node.key for node in seen.nodes)
        fact = Fact(EvidenceKind.CONSENT, subjects, payload)
        return self._counted(signal, published_us, seen, (), fact)

    def _link(
        self, signal: RawSignal, content: LinkDecided, published_us: int
    ) -> Contribution | Rejected:
        if signal.source not in self._policy.deciders:
            hint = "send decisions of staff through a source with may_decide in the policy"
            return Rejected("source", "may_decide", hint)
        left = self._end("link_decided.left", content.left)
        right = self._end("link_decided.right", content.right)
        for end in (left, right):
            if isinstance(end, Rejected):
                return end
        if left == right:
            return Rejected("link_decided.right", "same_ends", "name two different ends")
        ends = tuple(sorted((str(left), str(right))))
        same = content.verdict == signal_pb2.LINK_VERDICT_SAME
        fact = Fact(EvidenceKind.DECISION, ends, same=same)
        return self._named(signal, published_us, fact=fact)

    def _end(self, at: str, end: LinkEnd | None) -> NodeKey | Rejected:
        assert end is not None, "validate.check comes first"
        if end.record is not None:
            return self._tokens.record(*end.record)
        if end.record_token:
            return f"{RECORD_KIND}:{end.record_token}"
        assert end.identifier is not None, "validate.check comes first"
        held = self._held(*end.identifier)
        if held is None:
            return Rejected(f"{at}.identifier.value", "blocked", "name an identifier of somebody")
        if isinstance(held, Rejected):
            return Rejected(f"{at}.identifier.{held.field}", held.rule, held.hint)
        return held.node.key

    def _retracted(self, signal: RawSignal, content: Retracted, published_us: int) -> Contribution:
        target = self._tokens.signal(signal.source, content.signal_id)
        return self._named(signal, published_us, retracts=target)

    # ---- putting together --------------------------------------------------

    def _counted(
        self,
        signal: RawSignal,
        published_us: int,
        seen: _Seen,
        cells: tuple[str, ...],
        fact: Fact | None = None,
    ) -> Contribution | Rejected:
        """A contribution of nodes: `cells` go to the first, what the context says to the device."""
        nodes, device, blocked, accounts = seen
        if blocked:
            self.blocked.update(blocked)
        context = () if signal.context is None else self._seen_in(signal.context, signal.event_us)
        if isinstance(context, Rejected):
            return context
        first = nodes[0].key
        holds = device or first
        if holds == first:
            cells += context
            context = ()
        activity: list[tuple[NodeKey, tuple[str, ...]]] = []
        if cells or len(nodes) == 1:
            activity.append((first, cells))
        if context:
            activity.append((holds, context))
        # Only a login shows that whoever holds one account holds the other.
        shown = accounts < 2 or type(signal.content) is LoggedIn
        most = Assurance.AUTHENTICATED if shown else Assurance.CLAIMED
        return self._named(signal, published_us, nodes, tuple(activity), fact, most=most)

    def _named(
        self,
        signal: RawSignal,
        published_us: int,
        nodes: tuple[Node, ...] = (),
        activity: tuple[tuple[NodeKey, tuple[str, ...]], ...] = (),
        fact: Fact | None = None,
        retracts: int | None = None,
        most: Assurance = Assurance.AUTHENTICATED,
    ) -> Contribution:
        """The contribution, of no more assurance than policy grants the source, and than `most`."""
        source, signal_id, event_us, _, assurance, identifiers, context, content = signal
        assert event_us is not None, "validate.check comes first"
        if len(identifiers) > 1:
            identifiers = tuple(sorted(set(identifiers)))
        seen_in = context[:_DIGESTED] if context is not None and not context.site else context
        said = (source, signal_id, event_us, assurance or 1, identifiers, seen_in)
        keyed = self._keyed.copy()
        keyed.update(self._pack((said, type(content).__name__, _digested(content))))
        granted = self._sources.get(source)
        if granted is None:
            granted = self._granted(source)
        return Contribution(
            self._tokens.signal(source, signal_id),
            keyed.digest(),
            event_us,
            published_us,
            source,
            _ASSURANCES[min(granted, assurance, most)],
            nodes,
            activity,
            fact,
            retracts,
        )

    def _granted(self, source: str) -> int:
        """What policy grants a source; remembered for a thousand, since names come from outside."""
        granted = int(self._policy.source_assurance(source))
        if len(self._sources) < 1_000:
            self._sources[source] = granted
        return granted

    # ---- identifiers -------------------------------------------------------

    def _usable(self, identifiers: Identifiers, at_least: int = 1) -> _Seen | Rejected:
        seen = self._seen(identifiers)
        if isinstance(seen, _Seen) and len(seen.nodes) < at_least:
            self.blocked.update(seen.blocked)
            return Rejected("identifiers", "blocked", "send an identifier that names somebody")
        return seen

    def _see(self, identifiers: Identifiers) -> _Seen | Rejected:
        held: dict[NodeKey, _Held] = {}
        blocked = []
        for index, (kind, value) in enumerate(identifiers):
            found = self._held(kind, value)
            if found is None:
                blocked.append(kind)
            elif isinstance(found, Rejected):
                return Rejected(f"identifiers[{index}].{found.field}", found.rule, found.hint)
            else:
                held[found.node.key] = found
        ordered = sorted(held.values(), key=lambda one: one.order)
        device = next((one.node.key for one in ordered if one.device), "")
        accounts = sum(one.account for one in ordered)
        return _Seen(tuple(one.node for one in ordered), device, tuple(blocked), accounts)

    def _hold(self, kind: str, value: str) -> _Held | Rejected | None:
        """The identifier's node; None when policy blocks it; `Rejected` on `kind` or `value`."""
        policy = self._policy.kind(kind)
        if policy is None or (kind.startswith("external") and not normalize.is_external(kind)):
            known = ", ".join(sorted(self._policy.kinds))
            return Rejected("kind", "kind", f"send one of {known}, or external:NAME")
        if policy.blocks(normalize.bare(kind, value)):
            return None
        form = normalize.identifier(kind, value, self._region)
        if isinstance(form, normalize.Unusable):
            return Rejected("value", form.rule, form.hint)
        if policy.blocks(form):
            return None
        key = self._tokens.key(kind, form)
        order, sealed = self._tokens.order(kind, form), b""
        if policy.keep_value:
            sealed = self._sealer.seal(form.encode(), contexts.of_identifier(kind, order))
        node = Node(key, order, sealed)
        return _Held((-policy.priority, order), node, policy.device, policy.account)

    # ---- context -----------------------------------------------------------

    def _seen_in(self, said: Context, event_us: int | None) -> tuple[str, ...] | Rejected:
        """The cells of a context.

        A network also counts in its slot of two hours, of which a day has
        twelve: devices that change networks together are known by it.
        """
        assert event_us is not None, "validate.check comes first"
        # Addresses of pages are of any number: they have a cache of their own.
        cells = self._context(said._replace(site="") if said.site else said)
        if isinstance(cells, Rejected):
            return cells
        if cells and cells[0].startswith(_NETWORK):
            slot = event_us // _SLOT_US % _SLOTS
            cells += (f"slot:{cells[0][len(_NETWORK) :]}@{slot}",)
        if said.site:
            site = self._site(said.site)
            return site if isinstance(site, Rejected) else (*cells, site)
        return cells

    def _site_cell(self, address: str) -> str | Rejected:
        if len(address) > normalise.MAX_SITE_CHARS:
            hint = f"send at most {normalise.MAX_SITE_CHARS} characters"
            return Rejected("context.site", "length", hint)
        host = normalise.site(address)
        if not host:
            return Rejected("context.site", "shape", "send a host name or an address with one")
        return f"site:{self._tokens.cell('site', host)}"

    def _read_context(self, context: Context) -> tuple[str, ...] | Rejected:
        return normalise.context_cells(context, self._network)

    def _network_cell(self, network: str) -> str:
        return _NETWORK + self._tokens.cell("network", network)


def _digested(content: Any) -> Any:
    """A content as its digest sees it: fields that were added later count when they say something,
    so that what was taken in before stays known.
    """
    if type(content) is ConsentDecided and not any(content[3:]):
        return content[:3]
    if type(content) is LinkDecided:
        left, right = (end if end is None or end.record_token else end[:2] for end in content[:2])
        return (left, right, *content[2:])
    return content
