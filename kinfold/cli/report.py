"""`kinfold report`: all figures as one page, and as charts."""

from __future__ import annotations

import argparse
from pathlib import Path

from kinfold.cli.export import not_released, recipient, until
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json, progress
from kinfold.collecting import collect_less_often
from kinfold.register import RegisterError
from kinfold.releasing import released
from kinfold.report.drawing import CHART_FORMATS, write_charts
from kinfold.report.page import page
from kinfold.statistics.exporting import STEPS

_EXAMPLES = """  kinfold report --out report.html
  kinfold report --out report.html --charts charts --chart-format png
  kinfold report --out board.html --recipient board --expires 2027-01-31
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "report",
        "all figures on one page, with charts, to read or hand on",
        examples=_EXAMPLES,
        sections=("home", "graph", "pulsar", "statistics"),
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to; made")
    parser.add_argument("--charts", type=Path, metavar="DIR", help="each chart as a file, too")
    parser.add_argument(
        "--chart-format", choices=CHART_FORMATS, default="svg", help="of those files; default svg"
    )
    parser.add_argument("--recipient", type=recipient, metavar="WHO", help="who gets it")
    parser.add_argument("--expires", type=until, default=0, metavar="DATE",
                        help="the day by which the recipient must have deleted it")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page. 0: written; 1: something is out of reach; 2: a place is taken."""
    settings = settings_of(args)
    for place in (args.out, args.charts):
        if place is not None and place.exists():
            return fail(f"{place} is there already", "name a new place", ASKED_WRONGLY)
    if args.charts is not None and args.charts.resolve() == args.out.resolve():
        return fail("--charts and --out name one place", "name another for charts", ASKED_WRONGLY)
    collect_less_often()
    with progress("reading a snapshot", STEPS) as advance:
        steps = iter(range(1, STEPS + 1))
        try:
            release = released(
                settings,
                recipient=args.recipient or "",
                expires_us=args.expires,
                place=str(args.out),
                tell=lambda _: advance(next(steps)),
            )
        except RegisterError as error:
            return not_released(error)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(page(release), "utf-8")
    files = [args.out]
    if args.charts is not None:
        files += write_charts(release.figures, args.charts, args.chart_format)
    if args.json:
        print_json({"files": [str(path) for path in files]})
        return OK
    print(
        args.out if args.charts is None else f"{args.out}\n{args.charts}: {len(files) - 1} charts"
    )
    return OK
