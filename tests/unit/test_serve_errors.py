"""Every refusal is rich, documented and free of values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from profiles.serve.errors import REASONS, proto_of, refuse, status_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL))


def _detail(reason: str, field: str, kind: type[Message]) -> Message | None:
    found = kind()
    for packed in proto_of(refuse(reason, field)).details:
        if packed.Unpack(found):
            return found
    return None


def _name_of(code: int) -> str:
    names = {int(value): name for name, value in code_pb2.Code.items()}
    return names[code]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented_with_an_example(reason: str) -> None:
    """docs/errors.md has a section with the code, an example and the very words of the error."""
    section = SECTIONS[reason]
    code = _name_of(REASONS[reason].code)
    assert f"`{code}`" in section
    assert "Example:" in section
    assert f"{REASONS[reason].words} ({reason})" in section


def test_no_reason_is_documented_that_does_not_exist() -> None:
    """The document's sections are the reasons and nothing else."""
    assert set(SECTIONS) == set(REASONS)


@pytest.mark.parametrize(
    "proto",
    [
        "profiles/v1/profile_service",
        "profiles/v1/consent_service",
        "profiles/v1/privacy_service",
        "identity/v1/identity_service",
    ],
)
def test_the_protos_promise_only_reasons_that_exist(proto: str) -> None:
    """Each reason in an rpc's comment is one of ours and has the code that stands before it."""
    text = (ROOT / "proto" / f"{proto}.proto").read_text(encoding="utf-8").replace("// ", "")
    promised = [
        (code, reason)
        for code, reasons in re.findall(r"\b([A-Z_]{8,}) \(([A-Z_,\s]+)\)", text)
        for reason in re.findall(r"[A-Z_]+", reasons)
    ]
    assert promised
    for code, reason in promised:
        assert _name_of(REASONS[reason].code) == code


def test_an_error_names_reason_domain_and_field() -> None:
    """ErrorInfo and BadRequest are in the details, and the message says the same in words."""
    info = _detail("PERSON_ID_INVALID", "subject.person_id", ErrorInfo)
    assert isinstance(info, ErrorInfo)
    assert (info.reason, info.domain) == ("PERSON_ID_INVALID", "kinfold")
    request = _detail("PERSON_ID_INVALID", "subject.person_id", BadRequest)
    assert isinstance(request, BadRequest)
    assert [violation.field for violation in request.field_violations] == ["subject.person_id"]
    assert proto_of(refuse("PERSON_ID_INVALID", "subject.person_id")).message.startswith(
        "subject.person_id: "
    )


def test_only_what_may_pass_says_when_to_ask_again() -> None:
    """RetryInfo is there for a replica that starts, and not for a wrong request."""
    retry = _detail("NOT_READY", "", RetryInfo)
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 1_000
    assert _detail("MASK_INVALID", "mask", RetryInfo) is None


def test_a_status_is_what_grpc_aborts_with() -> None:
    """The status carries the packed proto in the trailer that clients read."""
    refused = refuse("TOO_STALE", "max_staleness")
    status = status_of(refused)
    assert status.code.value[0] == refused.code
    assert ("grpc-status-details-bin", proto_of(refused).SerializeToString()) in (
        status.trailing_metadata
    )
