"""What consent promises, from signals in to lookups out, in the words it is promised with."""

from __future__ import annotations

import random
import threading
from typing import Any

import orjson
import pytest

from identity.model import Contribution
from ingest.rejected import Rejected
from profiles.consent import ConsentDecision, granted_bits, standing
from profiles.v1.profile_service_pb2 import (
    GetProfileRequest,
    GetProfileResponse,
    Subject,
    SubjectIdentifier,
)
from tests.support.beside import beside
from tests.support.rights import EVERYTHING
from tests.support.served import MAX_SILENCE_MS, NOW_US, Make, Served, decided, signal, viewed
from tests.support.tcf_encoding import DAY_DS, Said

LOGIN, EMAIL, COOKIE = ("login", "ann"), ("email", "ann@posteo.net"), ("cookie", "c-1")
OPT_IN = ("personalisation", "marketing", "sale")
PURPOSES = (*OPT_IN, "analytics")
NODES = {LOGIN: "login:a", EMAIL: "email:a", COOKIE: "cookie:a"}
JOINED = [(0, NODES[LOGIN], NODES[EMAIL]), (0, NODES[EMAIL], NODES[COOKIE])]
"""They were found to be one before anybody decided."""
STRING = Said(publisher=(5, 6)).text()
GLOBAL = Said(publisher=(5, 6), service_specific=False).text()


def decision(at: str, *identifiers: tuple[str, str], **granted: bool) -> dict[str, Any]:
    """A decision at a time of the second of March 2026, `HH:MM:SS`."""
    return {**signal(*identifiers, **decided(**granted)), "event_time": f"2026-03-02T{at}Z"}


def asked(identifier: tuple[str, str], purpose: str = "personalisation") -> GetProfileRequest:
    """A lookup for one purpose."""
    named = SubjectIdentifier(kind=identifier[0], value=identifier[1])
    return GetProfileRequest(subject=Subject(identifier=named), purposes=[purpose])


def shows_interests(served: Served, identifier: tuple[str, str] = LOGIN) -> bool:
    """Whether a lookup for personalisation shows what somebody is interested in."""
    found = served.lookup.get(asked(identifier), served.now_us, EVERYTHING)
    assert isinstance(found, bytes), found
    answer = GetProfileResponse.FromString(found)
    assert bool(answer.profile.affinities) is not ("affinities" in answer.withheld)
    return bool(answer.profile.affinities)


def granted(served: Served) -> int:
    """The bits that are stored for Ann."""
    stored = served.view.stored(served.person(*LOGIN))
    assert stored is not None
    return stored.granted


class ConsentPromises:
    """Every engine and feed keeps them; a test class says what is made by its fixture `make`."""

    @pytest.fixture
    def served(self, make: Make) -> Served:
        """Ann is known by login and e-mail, and looked at sports."""
        made = make()
        made.take(signal(LOGIN, EMAIL, **viewed("sport")))
        return made

    @pytest.mark.parametrize("seed", [0, 2, 3, 5])
    def test_consent_permuted(self, make: Make, seed: int) -> None:
        """In whatever order and batches decisions come, what they come to is granted in the end."""
        drawn = random.Random(seed)
        signals = [signal(LOGIN, EMAIL, **viewed("sport")), signal(EMAIL, COOKIE)]
        made = []
        for _ in range(14):
            identifier = drawn.choice([LOGIN, EMAIL, COOKIE])
            at_s, purpose, yes = drawn.randrange(6), drawn.choice(PURPOSES), drawn.random() < 0.5
            signals.append(decision(f"12:00:0{at_s}", identifier, **{purpose: yes}))
            made.append(ConsentDecision(at_s, not yes, "", b"", purpose, (NODES[identifier],)))
        for _ in range(4):
            drawn.shuffle(signals)
            served = make()
            cut = drawn.randrange(len(signals))
            served.take(*signals[:cut])
            served.take(*signals[cut:])
            expected = granted_bits(served.purposes, standing(made, JOINED))
            assert granted(served) == expected
            asked_for = served.purposes.bits(OPT_IN)
            assert asked_for is not None
            assert 0 < expected & asked_for < asked_for, "some are granted, and some are not"

    def test_consent_duplicated(self, served: Served) -> None:
        """Sent twice, under one id or two, before and after its withdrawal, a yes counts once."""
        yes = decision("12:00:00", LOGIN, personalisation=True)
        no = decision("12:00:01", LOGIN, personalisation=False)
        again = {**yes, "signal_id": "again"}
        served.take(yes, yes, again)
        assert shows_interests(served)
        served.take(no, yes, {**yes, "signal_id": "once more"})
        assert not shows_interests(served)

    def test_consent_tied(self, served: Served) -> None:
        """At one instant a withdrawal beats a grant, whichever came first."""
        served.take(decision("12:00:00", LOGIN, personalisation=True))
        assert shows_interests(served)
        served.take(decision("12:00:00", LOGIN, personalisation=False))
        assert not shows_interests(served)
        served.take(decision("12:00:00", EMAIL, personalisation=True))
        assert not shows_interests(served)

    def test_consent_from_the_future(self, served: Served) -> None:
        """Dated ahead, a yes counts from when it was published, or not at all."""
        yes = decision("12:00:00", LOGIN, personalisation=True)
        ahead = {
            **yes,
            "event_time": "2026-03-02T12:04:00Z",
            "publish_time": "2026-03-02T12:00:00Z",
        }
        served.take(ahead, decision("12:01:00", LOGIN, personalisation=False))
        assert not shows_interests(served)
        far = {**yes, "signal_id": "far", "event_time": "2126-03-02T12:00:00Z"}
        outcome = served.new_intake().from_json(orjson.dumps(far), served.now_us)
        assert isinstance(outcome, Rejected)
        assert (outcome.field, outcome.rule) == ("event_time", "ahead")

    def test_differing_consents_merged(self, served: Served) -> None:
        """Two found to be one: the most restrictive holds until one of them decides anew."""
        served.take(
            signal(COOKIE, **viewed("garden")),
            decision("12:00:00", LOGIN, personalisation=True),
            decision("11:00:00", COOKIE, personalisation=False),
        )
        assert shows_interests(served)
        assert not shows_interests(served, COOKIE)
        joined = {**signal(LOGIN, COOKIE), "event_time": "2026-03-02T13:00:00Z"}
        served.take(joined)
        assert served.person(*LOGIN) == served.person(*COOKIE)
        assert not shows_interests(served)
        served.take(decision("14:00:00", COOKIE, personalisation=True))
        assert shows_interests(served)

    def test_withdrawal_during_a_cached_read(self, served: Served) -> None:
        """No read that begins after a withdrawal was applied shows what it closed, however warm."""
        served.take(decision("12:00:00", LOGIN, personalisation=True))
        by_id = GetProfileRequest(purposes=["personalisation"])
        by_id.subject.person_id = served.person(*LOGIN)
        request = by_id.SerializeToString()
        applied = threading.Event()
        after: list[bool] = []
        before = 0

        def read(stop: threading.Event) -> None:
            nonlocal before
            while not stop.is_set():
                is_after = applied.is_set()
                found = served.lookup.get_serialized(request, NOW_US, EVERYTHING)
                assert isinstance(found, bytes)
                shown = bool(GetProfileResponse.FromString(found).profile.affinities)
                if is_after:
                    after.append(shown)
                else:
                    before += shown

        with beside(read) as wait_until:
            wait_until(lambda: before > 0)
            served.take(decision("12:00:01", LOGIN, personalisation=False))
            applied.set()
            wait_until(lambda: len(after) >= 200)
        assert not any(after)

    def test_stale_replica(self, served: Served) -> None:
        """One that has heard nothing for longer than allowed withholds all that needs consent."""
        served.take(decision("12:00:00", LOGIN, personalisation=True))
        # A broker dates by its own clock.
        served.now_us = served.heard_us() + MAX_SILENCE_MS * 1_000
        assert shows_interests(served)
        served.now_us += 1_000
        assert not shows_interests(served)
        found = served.lookup.get(asked(LOGIN, "service"), served.now_us, EVERYTHING)
        assert isinstance(found, bytes)
        assert GetProfileResponse.FromString(found).profile.identifiers
        served.beat()
        assert shows_interests(served)

    def test_truncated_and_altered_consent_strings(self, served: Served) -> None:
        """Whole it grants; cut anywhere or changed into what cannot be, it changes nothing."""
        cut = [STRING[:end] for end in range(1, len(STRING)) if STRING[end - 1 : end + 1] != "."]
        altered = ["D" + STRING[1:], STRING[:-1] + "_", STRING + "AAAA", STRING.replace(".", "")]
        intake = served.new_intake()
        refused = 0
        for number, text in enumerate([*cut, *altered]):
            sent = signal(LOGIN, consent_decided={"tcf_string": text})
            outcome = intake.from_json(orjson.dumps({**sent, "signal_id": f"t-{number}"}), NOW_US)
            if isinstance(outcome, Contribution):
                # Only at a dot is the rest a string of its own: it says nothing for us.
                assert STRING.startswith(text + ".")
                continue
            assert outcome.rule in ("tcf", "required")
            refused += 1
        assert refused >= len(cut)
        assert not shows_interests(served)
        served.take(signal(LOGIN, consent_decided={"tcf_string": STRING}))
        assert shows_interests(served)

    @pytest.mark.parametrize("text", [STRING[:-1], "D" + STRING[1:], GLOBAL])
    def test_what_cannot_be_read_takes_nothing_away(self, served: Served, text: str) -> None:
        """A yes stands until somebody withdraws it, and what was withdrawn is not revived."""
        unread = signal(LOGIN, consent_decided={"tcf_string": text})
        served.take(signal(LOGIN, consent_decided={"tcf_string": STRING}))
        (refused,) = served.take_some({**unread, "event_time": "2026-03-02T13:00:00Z"})
        assert refused.rule == "tcf"
        assert shows_interests(served)
        served.take(decision("14:00:00", LOGIN, personalisation=False))
        assert served.take_some({**unread, "event_time": "2026-03-02T15:00:00Z"})
        assert not shows_interests(served)

    def test_an_old_consent_string_overrides_no_later_withdrawal(self, served: Served) -> None:
        """A device goes on sending its string; what was withdrawn elsewhere stays withdrawn."""
        string = Said(publisher=(5, 6), created_ds=20_400 * 864_000, updated_ds=20_400 * 864_000)
        served.take(decision("12:00:00", LOGIN, personalisation=False))
        later = {
            **signal(LOGIN, consent_decided={"tcf_string": string.text()}),
            "event_time": "2026-03-09T12:00:00Z",
        }
        served.take(later)
        assert not shows_interests(served)

    @pytest.mark.parametrize("together", [True, False])
    def test_an_old_consent_string_decides_for_nobody_unknown_to_it(
        self, served: Served, together: bool
    ) -> None:
        """A browser's yes lifts no older no of the login that it is only later known with.

        Sent under its cookie alone before, or under both at once.
        """
        string = Said(publisher=(5, 6), created_ds=20_510 * DAY_DS, updated_ds=20_510 * DAY_DS)
        said = {"consent_decided": {"tcf_string": string.text()}}
        no = decision("12:00:00", LOGIN, personalisation=False)
        served.take({**no, "event_time": "2026-02-20T12:00:00Z"})
        if not together:
            served.take({**signal(COOKIE, **said), "event_time": "2026-02-26T12:00:00Z"})
        served.take({**signal(COOKIE, LOGIN, **said), "event_time": "2026-03-02T12:00:00Z"})
        assert served.person(*LOGIN) == served.person(*COOKIE)
        assert not shows_interests(served)
        newer = string.but(created_ds=20_520 * DAY_DS, updated_ds=20_520 * DAY_DS).text()
        again = signal(COOKIE, consent_decided={"tcf_string": newer})
        served.take({**again, "event_time": "2026-03-09T12:00:00Z"})
        assert shows_interests(served)

    def test_global_privacy_control_is_an_opt_out_of_sale_and_sharing(self, served: Served) -> None:
        """What was granted to be sold or shared is not any more, and all else stays."""
        bits = served.purposes.bits
        served.take(decision("12:00:00", LOGIN, sale=True, personalised_ads=True, marketing=True))
        sold = bits(["sale", "personalised_ads"])
        kept = bits(["marketing"])
        assert sold is not None
        assert kept is not None
        assert granted(served) & (sold | kept) == sold | kept
        heard = signal(LOGIN, consent_decided={"global_privacy_control": True})
        served.take({**heard, "event_time": "2026-03-02T12:00:00Z"})
        assert granted(served) & (sold | kept) == kept
