"""Setting people apart: legal holds and restrictions that staff puts in force and ends."""

from __future__ import annotations

from typing import Final

from identity.refused import Refused
from profiles.access import Grant
from profiles.audit import Event, Kind
from profiles.consent import LEGAL_HOLD
from profiles.privacy_desk import AGENT, Doing
from profiles.privacy_messages import hold_problem
from profiles.request_book import RequestBook
from profiles.request_store import Hold
from profiles.serve.errors import refuse
from profiles.v1 import privacy_service_pb2 as pb

_NEVER_SENT: Final = ("PROFILE_NOT_FOUND", "SUBJECT_SHARED", "SUBJECT_UNNAMEABLE")
"""Why a decision was not made at all: its id stays free."""


class ApartDesk:
    """Answers of PrivacyService about holds. Threads may share one. Raises: as `PrivacyDesk`."""

    def __init__(self, book: RequestBook) -> None:
        self._book = book

    def hold(self, doing: Doing, asked: pb.HoldRequest, grant: Grant) -> pb.HoldResponse | Refused:
        """Put a legal hold or a restriction in force."""
        done = self._set_apart(doing, asked, grant, in_force=True)
        return done if isinstance(done, Refused) else pb.HoldResponse(hold_id=done)

    def release(
        self, doing: Doing, asked: pb.ReleaseRequest, grant: Grant
    ) -> pb.ReleaseResponse | Refused:
        """End a legal hold or a restriction."""
        done = self._set_apart(doing, asked, grant, in_force=False)
        return done if isinstance(done, Refused) else pb.ReleaseResponse(hold_id=done)

    def _set_apart(
        self,
        doing: Doing,
        asked: pb.HoldRequest | pb.ReleaseRequest,
        grant: Grant,
        *,
        in_force: bool,
    ) -> str | Refused:
        book = self._book
        by = book.acts(grant, asked.staff, AGENT)
        if isinstance(by, Refused):
            return by
        wrong = hold_problem(asked)
        if wrong is not None:
            return wrong
        said = book.subject(asked.subject)
        if isinstance(said, Refused):
            return said
        purpose = asked.purpose or LEGAL_HOLD
        is_in_force = purpose in doing.apart(said)
        if not in_force and not is_in_force:
            return ""
        whom = (said.kind, said.value or said.person)
        hold_id = asked.hold_id or book.means.random(16).hex()
        step = "hold" if in_force else "release"
        signal_id = f"{step}-{hold_id}"
        signal = doing.signal_of(signal_id)
        # Kept first, with its time: done again after a failure, it is the same signal.
        made = Hold(signal, purpose, book.means.now_us(), by, asked.reason.strip(), whom)
        book.requests.hold(made)
        kept = book.requests.holds((signal,))[signal]
        # A second content under one signal's id could take the place of the first.
        is_other = (kept.purpose, kept.whom) != (purpose, whom)
        # One that counts already is of a store that was put back from before it, if not of this.
        is_new = kept.since_us == made.since_us
        is_again = is_in_force == in_force and not is_new
        if is_other or (not is_again and doing.counts(signal)):
            if is_new:
                book.requests.forget_holds((signal,))
            return refuse("HOLD_ID_TAKEN", "hold_id")
        refused = doing.set_apart(
            said, purpose, in_force=in_force, signal_id=signal_id, at_us=kept.since_us
        )
        if refused is not None:
            if refused.reason in _NEVER_SENT and is_new:
                book.requests.forget_holds((signal,))
            return refused
        what = {"step": step, "purpose": purpose, "staff": by}
        about = (*book.about(said), f"hold:{hold_id}")
        event = Event(Kind.REQUEST, f"{step}:{hold_id}", kept.since_us, "agent", about, what)
        book.means.log.append([event])
        return hold_id
