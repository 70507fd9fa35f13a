"""The RequestStore port: where requests of people about their data are kept.

Promises
--------
- *One request per id.* Put again under its id, a request changes nothing.
- *Nothing overtaken.* A change counts only on the version it was made from.
- *Durable.* What a call returned from survives kill -9 and a power cut.
- *Sealed.* What a requester said, reasons and holders of packages rest sealed.
- *Logged in the end.* What a change says to the audit log stays here until it
  is there, whenever the process died.
- *Destroyed is gone.* After `destroy` and `expire` no copy of a package's half
  of a key is left in what the engine keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Final, NamedTuple, Protocol

from profiles.audit import Event
from profiles.requests import Request, State

PAGE: Final = 1_000
"""How many requests `RequestStore.all` gives at once, unless told otherwise."""
Place = tuple[str, str]
"""A place in the order of requests: the next day by which something is owed, as YYYY-MM-DD, and
the id."""
FIRST: Final[Place] = ("", "")


class RequestsError(Exception):
    """An operational failure of a request store. Holds nothing of a request.

    RequestsError
    ├── RequestsUnavailable  cannot be reached or stayed busy; nothing was written
    ├── RequestsDamaged      holds what cannot be read: damaged, or its key is destroyed
    └── Overtaken            somebody else changed the request; read it again
    """


class RequestsUnavailable(RequestsError):
    """The store cannot be reached or stayed busy. Nothing was written."""


class RequestsDamaged(RequestsError):
    """The store, or a request in it, cannot be read."""


class Overtaken(RequestsError):
    """Somebody else changed it in the meantime. Nothing was written; read it again."""


class Half(NamedTuple):
    """What rests here of a package's key: half of it, until when it opens, and whose it is."""

    request: str
    half: bytes
    expires_us: int


class Hold(NamedTuple):
    """Why somebody is set apart: `signal` names the decision, by `identity.tokens`, and `whom`
    the person, as (kind, value) or as ("", person id).
    """

    signal: int
    purpose: str
    since_us: int
    by: str
    reason: str
    whom: tuple[str, str]


class RequestStore(Protocol):
    """See the module for the promises. Threads may share one.

    Raises: RequestsError, from every call.
    """

    def put(self, request: Request, event: Event) -> Request:
        """Take a new request in; the one that is kept under its id, this or an earlier one."""

    def get(self, request: str) -> Request | None:
        """A request as it stands; None: there is none with this id."""

    def change(self, request: Request, events: Sequence[Event]) -> None:
        """Keep a request as it stands after a step; `version` is one more than what is kept."""

    def all(
        self,
        states: Collection[State] = (),
        due_by: date | None = None,
        limit: int = PAGE,
        *,
        after: Place = FIRST,
        if_readable: bool = False,
    ) -> list[Request]:
        """Requests in these states (none: all) of which something is owed by a day or before,
        soonest first, from behind a place in that order.

        `if_readable` leaves out those whose key was destroyed, as after a store was
        put back from before a rotation; else they raise RequestsDamaged.
        """

    def hold(self, hold: Hold) -> None:
        """Keep why somebody is set apart; again: a no-op."""

    def holds(self, signals: Collection[int] | None = None) -> dict[int, Hold]:
        """What is kept on these decisions; None: on all. What lost its key is left out."""

    def forget_holds(self, signals: Collection[int]) -> None:
        """Remove what is kept on these decisions."""

    def keep_half(self, half: Half) -> None:
        """Keep a package's half of a key, in place of any earlier one of the same request."""

    def half(self, request: str, now_us: int) -> Half | None:
        """A package's half of a key; None: there is none, or it has expired."""

    def destroy(self, request: str) -> None:
        """Destroy a package's half of a key; none there: a no-op."""

    def expire(self, now_us: int) -> int:
        """Destroy every half whose time is over; how many there were."""

    def log(self, append: Callable[[Sequence[Event]], object]) -> None:
        """Hand on what is not in the audit log yet, and note that it is."""

    def rewrap(self, rewrap: Callable[[bytes], bytes]) -> int:
        """Put every sealed value through `rewrap`, where it changes; how many changed."""

    def close(self) -> None:
        """Release what is held."""
