"""The digest of a policy: the same for two of them under which the same comes to the same."""

from __future__ import annotations

import json
from hashlib import blake2b


def digest_of(said: object) -> int:
    """64 bits of what a policy says, as plain values; never 0, which stands for no policy.

    The order of lists counts, that of tables does not.
    """
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") or 1
