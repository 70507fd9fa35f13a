"""Answers joined as bytes are what the protobuf library would have written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from identity.refused import Refused
from profiles.serve.errors import REASONS, refuse
from profiles.serve.wire import batch_answer, stream_answer
from profiles.v1.profile_pb2 import Attribute, Profile
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesResponse,
    GetProfileResponse,
    ProfileResult,
    StreamProfilesResponse,
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Serialized answers, empty ones and ones around the lengths where a varint grows."""
    size = draw(st.sampled_from([0, 1, 100, 116, 120, 127, 128, 300, 16_370, 16_384, 40_000]))
    profile = Profile(attributes=[Attribute(name="n", value="v" * size)])
    answer = GetProfileResponse(profile=profile, version=draw(st.integers(0, 2**64 - 1)))
    return answer.SerializeToString() if draw(st.booleans()) else b""


OUTCOMES = st.one_of(answers(), st.sampled_from([refuse(reason, "f") for reason in REASONS]))


def _result(outcome: bytes | Refused) -> ProfileResult:
    if isinstance(outcome, Refused):
        return ProfileResult(code=outcome.code, reason=outcome.reason)
    return ProfileResult(response=GetProfileResponse.FromString(outcome))


@given(st.lists(OUTCOMES, max_size=20))
def test_a_batch_is_one_result_per_outcome_in_order(outcomes: list[bytes | Refused]) -> None:
    """The joined bytes are those of the message built and serialized the long way."""
    expected = BatchGetProfilesResponse(results=[_result(outcome) for outcome in outcomes])
    assert batch_answer(outcomes) == expected.SerializeToString(deterministic=True)


@given(OUTCOMES)
def test_a_streams_answer_is_one_result(outcome: bytes | Refused) -> None:
    """The joined bytes are those of the message built and serialized the long way."""
    expected = StreamProfilesResponse(result=_result(outcome))
    assert stream_answer(outcome) == expected.SerializeToString(deterministic=True)
