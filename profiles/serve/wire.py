"""Answers joined as bytes: profiles pass through untouched, never parsed and written again.

Protobuf's encoding allows it: a message field is its tag, its length, its
bytes; fields of a message may simply follow each other.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from identity.refused import Refused
from profiles.v1.profile_service_pb2 import ProfileResult

_RESULT_TAG = b"\x0a"
"""Field 1, length-delimited: `results` of a batch's answer, `result` of a stream's."""
_RESPONSE_TAG = b"\x1a"
"""Field 3, length-delimited: `response` of ProfileResult."""


def batch_answer(outcomes: Iterable[bytes | Refused]) -> bytes:
    """A serialized BatchGetProfilesResponse: one result per outcome, same order.

    An outcome is a serialized GetProfileResponse or a refusal.
    """
    parts: list[bytes] = []
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            parts.append(_refused_result(outcome))
        else:
            parts += (_head(len(outcome)), outcome)
    return b"".join(parts)


def stream_answer(outcome: bytes | Refused) -> bytes:
    """A serialized StreamProfilesResponse: the two answers are alike, field by field."""
    return batch_answer((outcome,))


@lru_cache(maxsize=256)
def _refused_result(refused: Refused) -> bytes:
    result = ProfileResult(code=refused.code, reason=refused.reason).SerializeToString()
    return _RESULT_TAG + _varint(len(result)) + result


@lru_cache(maxsize=16_384)
def _head(size: int) -> bytes:
    """What stands before a response of so many bytes: its own head after that of its result."""
    head = _RESPONSE_TAG + _varint(size)
    return _RESULT_TAG + _varint(len(head) + size) + head


def _varint(number: int) -> bytes:
    """Seven bits a byte, least first; the high bit says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
