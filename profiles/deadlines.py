"""By when the law wants a request answered. Pure: from the day of receipt to dates.

Sources
-------
- GDPR, Regulation (EU) 2016/679, Article 12(3): information on action taken on
  a request under Articles 15 to 22 is provided "without undue delay and in any
  event within one month of receipt of the request. That period may be extended
  by two further months where necessary [...]. The controller shall inform the
  data subject of any such extension within one month of receipt of the request,
  together with the reasons for the delay." Article 12(4): who does not act says
  so, and why, within one month as well.
- Regulation (EEC, Euratom) No 1182/71, Article 3: a period in months ends with
  the last hour of the day of the same number in its last month, and where that
  month has no such day, of its last day. (EDPB Guidelines 01/2022, on receipt
  on 31 August: at the latest 30 September.) Article 3(4) lets a period that ends on a
  weekend or holiday run on to the next working day: never counted on here, so
  that what is done by these dates is in time everywhere.
- CCPA as amended by the CPRA, California Civil Code, section 1798.130(a)(2)(A):
  within 45 days of receiving a verifiable request, which "may be extended once
  by an additional 45 days when reasonably necessary, provided the consumer is
  provided notice of the extension within the first 45-day period"; section 10
  of the code: the first day is excluded and the last included.
- California Code of Regulations, title 11, section 7021(a): receipt of a request
  to delete, to correct or to know is confirmed within 10 business days, with how
  it will be processed, unless it was granted or denied by then; section 7026(f):
  an opt-out of sale or sharing is complied with within 15 business days at the
  latest, and 7027(g): likewise a request to limit use. Of these two no receipt
  need be confirmed, and neither can be extended.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, NamedTuple


class Law(StrEnum):
    """Whose clock runs."""

    GDPR = "gdpr"
    CCPA = "ccpa"


class RequestKind(StrEnum):
    """What is asked for."""

    ACCESS = "access"
    PORTABILITY = "portability"
    CORRECTION = "correction"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    OPT_OUT = "opt_out"


class Deadlines(NamedTuple):
    """The last days on which something is in time.

    - `confirm_by`: receipt is confirmed; None where the law asks for none.
    - `due`: the request is answered; `extend_by`: an extension and its reason
      are told; `extended`: it is answered when extended; None: it cannot be.
    """

    confirm_by: date | None
    due: date
    extend_by: date | None
    extended: date | None


_CONFIRM: Final = 10
_OPT_OUT: Final = 15
_CCPA_DAYS: Final = 45
_SATURDAY: Final = 5
_NOT_EXTENDED: Final = (RequestKind.OPT_OUT, RequestKind.OBJECTION, RequestKind.RESTRICTION)
"""Under the CCPA: opting out and limiting use."""


def deadlines(
    law: Law, kind: RequestKind, received: date, holidays: Collection[date] = ()
) -> Deadlines:
    """The dates for a request received on a day.

    `holidays` are no business days; left out they only make dates earlier.
    """
    if law is Law.GDPR:
        due = after_months(received, 1)
        return Deadlines(None, due, due, after_months(received, 3))
    if kind in _NOT_EXTENDED:
        return Deadlines(None, after_business_days(received, _OPT_OUT, holidays), None, None)
    confirm_by = after_business_days(received, _CONFIRM, holidays)
    due = received + timedelta(days=_CCPA_DAYS)
    return Deadlines(confirm_by, due, due, received + timedelta(days=2 * _CCPA_DAYS))


def after_months(start: date, months: int) -> date:
    """The day of the same number so many months on, or the last day of a month without it."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))


def after_business_days(start: date, days: int, holidays: Collection[date] = ()) -> date:
    """So many business days on, Monday to Friday without holidays; the first one not counted."""
    at = start
    while days:
        at += timedelta(days=1)
        if at.weekday() < _SATURDAY and at not in holidays:
            days -= 1
    return at
