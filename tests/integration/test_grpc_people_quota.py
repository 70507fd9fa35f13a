"""A caller's quota of people holds over gRPC, by whichever method it is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import grpc
import pytest

from identity.v1.identity_service_pb2 import GetLineageRequest
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from profiles.access import Access
from profiles.people_quota import PeopleQuotas
from profiles.v1 import privacy_service_pb2 as pb
from profiles.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.consent_desk import Desk, asking, open_desk
from tests.support.grpc_calls import told_by
from tests.support.rights import ACCESS, EVERYTHING
from tests.support.served import Served, signal

ROOT = Path(__file__).parents[2]
TOKEN = "of a caller with a quota"  # noqa: S105 - it opens nothing
COUNTED = (("authorization", f"Bearer {TOKEN}"),)
MORE = f"""
[callers.counted]
token_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
may = ["reads profiles", "reads requests", "hands out packages"]
staff = ["desk"]
kinds = ["*"]
people_per_day = 2
"""


def reason_of(call: Callable[[], object]) -> str:
    """Why a call was refused; empty when it was answered."""
    try:
        call()
    except grpc.RpcError as error:
        return told_by(error).reason
    return ""


# ---- lineage ----------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A whole kinfold in this process."""
    with open_desk(tmp_path) as opened:
        yield opened


def lineages(desk: Desk, people_per_day: int, *ids: str) -> list[str]:
    """Why the lineage of each id is not told to a caller with such a quota."""
    grant = EVERYTHING._replace(people_per_day=people_per_day)
    access = Access((replace(ACCESS.callers[0], grant=grant),))
    people = PeopleQuotas(access, b"k", desk.served.clock_us)
    with asking(desk.served, replace(desk.source, people=people), access) as channel:
        tell = IdentityServiceStub(channel).GetLineage
        return [reason_of(lambda one=one: tell(GetLineageRequest(person_id=one))) for one in ids]  # type: ignore[misc]


def bridge(served: Served) -> str:
    """Join Bob and Cyd; the id of the signal that did."""
    joins = signal(("login", "bob"), ("login", "cyd"))
    served.take(joins)
    return str(joins["signal_id"])


def test_a_lineage_counts_everybody_whose_ids_it_names(desk: Desk) -> None:
    """Of two who were one, each one's lineage names the other."""
    served = desk.served
    served.take(signal(("login", "bob")), signal(("login", "cyd")))
    joined = bridge(served)
    gone = {"source": "crm", "signal_id": "gone", "event_time": "2026-09-21T14:13:20Z"}
    served.take({**gone, "retracted": {"signal_id": joined}})
    bob, cyd, ann = (served.person("login", one) for one in ("bob", "cyd", "ann"))
    assert bob != cyd
    assert lineages(desk, 1, bob, cyd, ann) == ["PEOPLE_EXHAUSTED"] * 2 + [""]
    assert lineages(desk, 2, bob, cyd, ann) == ["", "", "PEOPLE_EXHAUSTED"]
    assert lineages(desk, 2, ann, bob, ann) == ["", "PEOPLE_EXHAUSTED", ""]


def test_ids_of_one_person_count_once(desk: Desk) -> None:
    """Whoever two ids were merged into is one person, by either."""
    served = desk.served
    served.take(signal(("login", "bob")), signal(("login", "cyd")))
    ids = [served.person("login", one) for one in ("bob", "cyd")]
    bridge(served)
    assert len(set(ids)) == 2
    assert lineages(desk, 1, *ids) == ["", ""]


# ---- requests ---------------------------------------------------------------------


def test_requests_count_whom_they_tell_of(tmp_path: Path) -> None:
    """A plan names people and a package holds all of one: beyond the quota neither is told of, and
    nothing is made; a lookup counts with them. What tells of nobody goes on.
    """
    shipped = (ROOT / "kinfold" / "default_policy.toml").read_text("utf-8")
    (tmp_path / "policy.toml").write_text(shipped + MORE, "utf-8")
    line = CommandLine(tmp_path, {"KINFOLD_HOME_POLICY": str(tmp_path / "policy.toml")})
    names = ("ann", "bob", "cyd")
    signals = [login(number, ("login", name)) for number, name in enumerate(names)]
    line.does("ingest", "-", given=as_lines(*signals))
    with line.serving() as address, grpc.insecure_channel(address) as channel:
        privacy = PrivacyServiceStub(channel)
        for kind in ("access", "erasure"):
            for name in (*names, "nobody"):
                submitted(privacy, kind, name)

        def plan(kind: str, name: str) -> str:
            request = pb.PlanRequest(request_id=f"{kind}-{name}", staff="desk")
            return reason_of(lambda: privacy.Plan(request, metadata=COUNTED))

        def export(name: str) -> str:
            request = pb.ExportRequest(request_id=f"access-{name}", staff="desk")
            return reason_of(lambda: privacy.Export(request, metadata=COUNTED))

        def lookup(name: str) -> str:
            request = GetProfileRequest(subject=whom(name))
            get = ProfileServiceStub(channel).GetProfile
            return reason_of(lambda: get(request, metadata=COUNTED))

        assert plan("erasure", "nobody") != "PEOPLE_EXHAUSTED"
        assert plan("erasure", "ann") == ""
        package = privacy.Export(pb.ExportRequest(request_id="access-cyd", staff="desk"))
        assert export("bob") == ""
        assert (lookup("ann"), lookup("cyd")) == ("", "PEOPLE_EXHAUSTED")
        for name in ("cyd", "nobody"):
            assert plan("erasure", name) == export(name) == "PEOPLE_EXHAUSTED"
        opening = pb.OpenRequest(
            request_id="access-cyd", package=package.package, key=package.key, staff="desk"
        )
        assert reason_of(lambda: privacy.Open(opening, metadata=COUNTED)) == "PEOPLE_EXHAUSTED"
        # Refused before a newer package took its place.
        assert privacy.Open(opening).json
        assert export("ann") == plan("access", "bob") == ""
        asked = pb.GetRequest(request_id="access-cyd", staff="desk")
        assert privacy.Get(asked, metadata=COUNTED).request.state == "done"


def submitted(privacy: PrivacyServiceStub, kind: str, name: str) -> None:
    """Take a request of somebody's in."""
    request = pb.SubmitRequest(
        request_id=f"{kind}-{name}",
        kind=kind,
        subject=whom(name),
        level="authenticated",
        staff="desk",
    )
    privacy.Submit(request)


def whom(name: str) -> Subject:
    """Somebody by login."""
    return Subject(identifier=SubjectIdentifier(kind="login", value=name))
