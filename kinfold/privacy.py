"""Requests of people about their data from settings: the book, and what carries them out."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from contextlib import closing

from identity.model import NodeKey, PersonId
from identity.store import GraphStore
from ingest.dead_letters import Envelopes
from ingest.erasing import LettersAbout
from ingest.payloads import read_purchase, read_record
from ingest.staff_signals import StaffSignals
from kinfold.auditing import desk_ids, open_audit
from kinfold.consents import open_put
from kinfold.erasing import exports_of
from kinfold.held.beside import Letter, read_letter
from kinfold.held.gather import Gathering
from kinfold.intaking import readers
from kinfold.letters import open_letters
from kinfold.privacy_doing import Carrier, Parts
from kinfold.privacy_held import Holdings, open_with
from kinfold.privacy_places import Settle, open_erasing, open_ledger, waits_for_upkeep
from kinfold.register import Exported
from kinfold.releasing import open_register
from kinfold.requests import open_requests
from kinfold.settings import Settings
from kinfold.wiring import (
    Policies,
    graph_namer,
    now_us,
    open_active_models,
    open_builder,
    open_intake,
    open_sealer,
    open_tokens,
)
from profiles.build import Payloads
from profiles.people_quota import PeopleQuotas
from profiles.request_book import Means, RequestBook
from profiles.serve.privacy_service import PrivacySource, methods
from profiles.vault import KeyVault


def open_book(
    settings: Settings, policies: Policies, vault: KeyVault, people: PeopleQuotas | None = None
) -> RequestBook:
    """The book of requests over this home's store and audit log. Threads may share it.

    `people` counts whom callers with `people_per_day` are told of.

    Raises: RequestsError, AuditError.
    """
    means = Means(
        policies.privacy,
        open_requests(settings, vault),
        open_audit(settings, vault),
        vault.audit_key(),
        graph_namer(settings, policies, vault),
        os.urandom,
        now_us,
        people,
    )
    return RequestBook(means)


def open_carrier(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    store: GraphStore,
    settle_up: Settle | None = None,
) -> Carrier:
    """What carries requests out; for one thread, which owns the store.

    `settle_up`: see `open_erasing`.
    """
    intake, name_of = open_intake(settings, policies, vault), graph_namer(settings, policies, vault)
    put = open_put(settings, vault, store, intake)
    signals = StaffSignals(policies.privacy.source, intake, put, desk_ids(vault), now_us)
    sealer = open_sealer(vault)
    gathering = Gathering(
        open_builder(policies, vault, sealer),
        open_with(sealer),
        Payloads(read_record, read_purchase),
        policies.purposes,
        policies.access,
    )

    def exports(person: PersonId) -> list[Exported]:
        with closing(open_register(settings)) as register:
            return exports_of(store, register, person)

    def letters(nodes: AbstractSet[NodeKey]) -> list[Letter]:
        intake.look()
        envelopes = Envelopes(sealer, vault.order_key())
        about = LettersAbout(envelopes, readers(intake), name_of, now_us())
        with closing(open_letters(settings)) as opened:
            return [read_letter(envelopes, one) for one in about.among(opened.all(), nodes)]

    def is_erased(request_id: str) -> bool:
        with closing(open_ledger(settings, vault)) as ledger:
            return ledger.find(request_id) is not None

    comparers = open_active_models(settings, policies, vault, sealer).comparers
    controller, kept = policies.privacy.controller, policies.retention
    holdings = Holdings(store, gathering, sealer, comparers, controller, kept)
    parts = Parts(
        store=store,
        identity=policies.identity,
        purposes=policies.purposes,
        privacy=policies.privacy,
        tokens=open_tokens(vault),
        name_of=name_of,
        signals=signals,
        holdings=holdings,
        exports=exports,
        letters=letters,
        is_erased=is_erased,
        open_erasing=lambda: open_erasing(settings, policies, vault, store, settle_up=settle_up),
        waits=bool(settings.pulsar.url),
    )
    return Carrier(parts)


def open_privacy(
    settings: Settings, policies: Policies, vault: KeyVault, people: PeopleQuotas
) -> PrivacySource:
    """PrivacyService over the graph."""
    return PrivacySource(
        methods(open_book(settings, policies, vault, people)),
        lambda store: open_carrier(settings, policies, vault, store, waits_for_upkeep(store)),
    )
