"""A model card in lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from identity.matching.waterfall import chance, fit

_BAR = 12


def card_lines(card: Mapping[str, Any], *, active: bool) -> list[str]:
    """The card that `card_json` gives, in lines of at most 80 columns where words allow it."""
    told = card["card"]
    lines = [f"model {card['model']}{' (in force)' if active else ''}"]
    if told:
        lines += _origin(card, told)
    lines += ["", *_parameters(card), "", *_blocking(card)]
    if told:
        lines += ["", *quality_lines(told["at_thresholds"]), *_histogram(told)]
        lines += ["", *_calibration(card, told)]
        if told.get("groups"):
            lines += ["", *_groups(told["groups"])]
        lines += ["", "known limits", *wrapped(told["limits"])]
    return lines


def _origin(card: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    data, found = told["data"], told["resolved"]
    held = ", ".join(f"{name} {share:.0%}" for name, share in data["attributes"].items())
    people = f"{found['people']:,} people, the largest of {found['largest']} records"
    verdicts = ", ".join(
        f"{found[name]:,} {name.replace('_', ' ')}"
        for name in ("link", "review", "leave", "held_apart")
    )
    return [
        f"{told['made_by']} on {told['date']} from {data['name']}, seed {card['seed']}",
        *wrapped([f"{data['records']:,} records: {held}"], mark=""),
        f"{people}; {found['alone']:,} records alone",
        f"{found['pairs']:,} pairs scored: {verdicts}",
    ]


def _parameters(card: Mapping[str, Any]) -> list[str]:
    lines = [f"prior {card['prior_bits']:+.2f} bits", _row("comparison", "level", "m", "u", "bits")]
    for comparison in card["comparisons"]:
        name = comparison["comparison"]
        for own in comparison["levels"]:
            figures = (f"{own['m']:.5f}", f"{own['u']:.6f}", f"{own['bits']:+.2f}")
            lines.append(_row(name, own["level"], *figures))
            name = ""
    for joint in card["joints"]:
        most = max(joint["bits"], key=abs)
        lines.append(f"{joint['left']} with {joint['right']}: up to {most:+.2f} bits, counted once")
    lines.append("term frequencies")
    return lines + [
        f"  {fit(own['comparison'], 18)} {own['values']:>6,} values kept,"
        f" rare {own['rare_bits']:+.2f}, commonest {own['commonest_bits']:+.2f} bits"
        for own in card["frequencies"]
    ]


def _row(name: str, level: str, *figures: str) -> str:
    widths = (9, 10, 8)
    said = "".join(f"{figure:>{width}}" for figure, width in zip(figures, widths, strict=True))
    return f"  {fit(name, 18)} {fit(level, 24)} {said}"


def _blocking(card: Mapping[str, Any]) -> list[str]:
    lines = [
        f"blocking: keeps an estimated {card['blocking_recall']:.1%} of likely pairs",
        f"  {fit('rule', 38)} {'bound':>6}{'pairs':>12}{'likely':>12}",
    ]
    return lines + [
        f"  {fit(' + '.join(own['rule']), 38)} {own['bound']:>6}{own['pairs']:>12,}"
        f"{own['likely']:>12,.1f}"
        for own in card["blocking"]
    ]


def quality_lines(at_thresholds: Iterable[Mapping[str, Any]]) -> list[str]:
    """Expected precision and recall by threshold."""
    return [
        "estimated from its own probabilities",
        f"  {'probability':>12}{'pairs':>12}{'precision':>12}{'recall':>12}",
        *(
            f"  {own['probability']:>12}{own['pairs']:>12,}{own['precision']:>12.4f}"
            f"{own['recall']:>12.4f}"
            for own in at_thresholds
        ),
    ]


def _histogram(told: Mapping[str, Any]) -> list[str]:
    lines = ["scored pairs by match weight"]
    most = max((own["pairs"] for own in told["histogram"]), default=1) or 1
    for own in told["histogram"]:
        begin = "under -20" if own["from_bits"] is None else f"from {own['from_bits']:+d}"
        bar = "█" * -(-own["pairs"] * _BAR // most)
        lines.append(
            f"  {begin:>9} bits {own['pairs']:>10,} pairs,"
            f" {own['expected']:>12,.1f} expected to match  {bar}".rstrip()
        )
    return lines


def _calibration(card: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    own = dict(told["calibration"])
    lines = [f"calibrated from {own.pop('from')}; {told['resolved']['unsure']:,} unsure pairs"]
    lines += [f"  {name.replace('_', ' ')} {figure}" for name, figure in own.items()]
    points = [f"{at['bits']:+.1f} bits {chance(at['probability'])}" for at in
              card["calibration_points"]]  # fmt: skip
    return lines + wrapped([", ".join(points)], mark="")


def _groups(groups: Mapping[str, Any]) -> list[str]:
    rates = ("matched", "withheld", "expected_precision", "expected_recall")
    head = ("matched", "withheld", "precision", "recall")
    lines = [
        f"by group in {groups['column']}",
        f"  {fit('group', 26)}{'records':>9}" + "".join(f"{name:>10}" for name in head),
    ]
    lines += [
        f"  {fit(own['group'], 26)}{own['records']:>9,}"
        + "".join(f"{own[rate]:>10.4f}" for rate in rates)
        for own in groups["groups"]
    ]
    apart = "".join(f"{groups['apart'][rate]:>10.4f}" for rate in rates)
    lines.append(f"  {fit('furthest apart', 26)}{'':>9}{apart}")
    beyond = groups["beyond_chance"]
    told = f"differ beyond chance: {', '.join(beyond)}" if beyond else "none beyond chance"
    return [*lines, f"  {told} (95 % intervals of the shares)"]


def wrapped(sentences: Iterable[str], mark: str = "- ", width: int = 80) -> list[str]:
    """Sentences in lines, indented by two, each begun with a mark."""
    lines = []
    for said in sentences:
        line = f"  {mark}"
        for word in said.split():
            if len(line) + len(word) + 1 > width and line.strip():
                lines.append(line.rstrip())
                line = "  " + " " * len(mark)
            line += word + " "
        lines.append(line.rstrip())
    return lines
