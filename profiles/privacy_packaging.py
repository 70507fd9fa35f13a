"""Packages of everything held: made, sealed and opened for requests for access and portability."""

from __future__ import annotations

from typing import Final

from identity.refused import Refused
from profiles import packages
from profiles.access import Grant
from profiles.deadlines import RequestKind
from profiles.privacy_desk import AGENT, Beside, Doing
from profiles.privacy_messages import as_message, timestamp
from profiles.request_book import RequestBook
from profiles.request_store import Half
from profiles.requests import PACKAGED, InStore, Request, State, Step
from profiles.serve.errors import refuse
from profiles.v1 import privacy_service_pb2 as pb

JSON: Final = "report.json"
HTML: Final = "report.html"
_DAY_US: Final = 86_400_000_000


class PackageDesk:
    """Answers of PrivacyService about packages. Threads may share one. Raises: as `PrivacyDesk`."""

    def __init__(self, book: RequestBook) -> None:
        self._book = book

    def export(
        self, doing: Doing, asked: pb.ExportRequest, grant: Grant
    ) -> pb.ExportResponse | Refused:
        """Make the package that answers a request.

        1. Note that the request runs.
        2. Gather everything held and seal it; keep one half of the key.
        3. Note that the package was made, and that the request is done.
        4. Tell the other half, which is kept nowhere.
        """
        book = self._book
        found = book.found(grant, asked.staff, AGENT, asked.request_id)
        if isinstance(found, Refused):
            return found
        request, by = found
        if request.kind not in PACKAGED:
            return refuse("REQUEST_STATE")
        wrong = doing.obstacle(request, as_one=asked.as_one)
        if wrong is not None:
            return wrong
        untold = book.untold(grant, doing.plan(request))
        if untold is not None:
            return untold
        if request.state is not State.DONE:
            running = book.moved(request, Step.RUN, by, as_one=asked.as_one)
            if isinstance(running, Refused):
                return running
            request = running
        now_us = book.means.now_us()
        book.requests.expire(now_us)
        expires_us = now_us + book.policy.package_days * _DAY_US
        files = doing.held(request, self._beside(doing, request), now_us)
        package = packages.seal(files, request.id, book.means.random)
        book.requests.keep_half(Half(request.id, package.half, expires_us))
        stores = (InStore("package", "done"),)
        done = book.moved(request, Step.EXPORT, by, stores=stores, as_one=asked.as_one)
        if not isinstance(done, Refused) and done.state is State.RUNNING:
            done = book.moved(done, Step.FINISH, by)
        if isinstance(done, Refused):
            return done
        return pb.ExportResponse(
            request=as_message(done),
            package=package.sealed,
            key=package.key,
            expires_at=timestamp(expires_us),
        )

    def _beside(self, doing: Doing, request: Request) -> Beside:
        if request.kind is not RequestKind.ACCESS:
            return Beside()
        apart = doing.apart(request.said)
        kept = self._book.requests.holds(list(apart.values()))
        reasons = {purpose: signal in kept for purpose, signal in apart.items()}
        theirs = self._book.requests_of(doing.names(request.said), but=request.id)
        return Beside(tuple(theirs), reasons)

    def open(self, doing: Doing, asked: pb.OpenRequest, grant: Grant) -> pb.OpenResponse | Refused:
        """Open a package with its key."""
        book = self._book
        found = book.found(grant, asked.staff, AGENT, asked.request_id)
        if isinstance(found, Refused):
            return found
        request, by = found
        untold = book.untold(grant, doing.plan(request))
        if untold is not None:
            return untold
        now_us = book.means.now_us()
        book.requests.expire(now_us)
        half = book.requests.half(request.id, now_us)
        files = half and packages.opened(asked.package, request.id, asked.key, half.half)
        if not files:
            return refuse("PACKAGE_CLOSED")
        done = book.moved(request, Step.OPEN, by)
        if isinstance(done, Refused):
            return done
        return pb.OpenResponse(json=files[JSON], html=files.get(HTML, b""))
