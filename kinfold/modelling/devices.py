"""Device models: trained, described and shown, as those for records are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from identity.matching.devices.device import Device
from identity.matching.devices.linking import Linked
from identity.matching.devices.model import MBITS, DeviceModel
from identity.matching.devices.score import BY_NAME
from identity.matching.estimates import THRESHOLDS, at_threshold
from identity.matching.waterfall import fit
from kinfold.modelling.card_text import quality_lines, wrapped

_OWN_WORD = (
    "No answers were used: precision and recall are the model's own estimates, among the pairs"
    " that it compared; pairs that meet in no block are not seen."
)
_BOUNDS = "A block over its bound compares nobody: who meet in crowded networks only stay apart."
_KEYS = "It works only with the keys of the home folder in which it was learnt."


def device_card(
    model: DeviceModel, devices: Sequence[Device], linked: Linked, *, data: str, date: str
) -> dict[str, Any]:
    """The card of a device model that was just made, from what it makes of its own devices."""
    chances = np.array(list(linked.chances.values()), dtype=np.float64)
    thresholds = sorted({*THRESHOLDS, model.clustering.threshold})
    return {
        "kind": "devices",
        "data": {
            "name": data,
            "devices": len(devices),
            "types": dict(sorted(Counter(own.type for own in devices).items())),
        },
        "date": date,
        "made_by": "trained",
        "linked": {
            "pairs": len(chances),
            "link": len(linked.links),
            "below": len(linked.below),
            "people": len(linked.people),
            "withheld": len(linked.withheld),
            "skipped_blocks": linked.skipped_blocks,
            "expected_matches": round(float(chances.sum()), 1),
        },
        "at_thresholds": [at_threshold(own, chances, 1.0)._asdict() for own in thresholds],
        "limits": [_OWN_WORD, _BOUNDS, _KEYS],
    }


def device_json(pin: str, model: DeviceModel, card: Mapping[str, Any]) -> dict[str, Any]:
    """The whole card as data: the model's parameters, and what its card tells."""
    known = model.population
    return {
        "model": pin,
        "name": model.name,
        "seed": model.seed,
        "prior_bits": model.prior_mbits / MBITS,
        "threshold": model.clustering.threshold,
        "trained_on": dict(model.trained_on),
        "comparisons": [
            {
                "comparison": own.name,
                "levels": [
                    {"level": BY_NAME[own.name].level_name(level), "m": m, "u": u,
                     "bits": mbits / MBITS}
                    for level, (m, u, mbits) in enumerate(
                        zip(own.m, own.u, own.mbits, strict=True)
                    )
                ],
            }
            for own in model.comparisons
        ],
        "population": {
            "devices": known.devices,
            "sites": len(known.sites),
            "languages": len(known.languages.values),
            "zones": len(known.zones.values),
        },
        "blocking": [{"rule": own.rule, "bound": own.bound} for own in model.blocking],
        "card": dict(card),
    }  # fmt: skip


def device_lines(card: Mapping[str, Any], *, active: bool) -> list[str]:
    """The card that `device_json` gives, in lines of at most 80 columns."""
    told = card["card"]
    lines = [f"model {card['model']} for devices{' (in force)' if active else ''}"]
    if told:
        lines += _origin(card, told)
    lines += ["", f"prior {card['prior_bits']:+.2f} bits", _row("comparison", "level", "m", "u")]
    for comparison in card["comparisons"]:
        name = comparison["comparison"]
        for own in comparison["levels"]:
            figures = (f"{own['m']:.4f}", f"{own['u']:.5f}")
            lines.append(_row(name, own["level"], *figures, f"{own['bits']:+.2f}"))
            name = ""
    known = card["population"]
    lines.append(
        f"known of {known['devices']:,} devices: {known['sites']:,} sites,"
        f" {known['languages']:,} languages, {known['zones']:,} time zones"
    )
    blocks = ", ".join(f"{own['rule']} (at most {own['bound']})" for own in card["blocking"])
    lines += ["", *wrapped([f"compared when they meet in: {blocks}"], mark="")]
    if told:
        lines += ["", *quality_lines(told["at_thresholds"]), "", "known limits"]
        lines += wrapped(told["limits"])
    return lines


def _origin(card: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    data, found = told["data"], told["linked"]
    types = ", ".join(f"{count:,} {name or 'of no type'}" for name, count in data["types"].items())
    origin = f"{told['made_by']} on {told['date']} from {data['name']}, seed {card['seed']}"
    links = f"{found['link']:,} link from probability {card['threshold']}"
    withheld = f"{found['withheld']:,} devices may not be linked"
    return [
        origin,
        *wrapped([f"{data['devices']:,} devices: {types}"], mark=""),
        f"{found['pairs']:,} pairs compared: {links}; {found['people']:,} people",
        f"{withheld}; {found['skipped_blocks']:,} blocks over their bound",
    ]


def _row(name: str, level: str, m: str, u: str, bits: str = "bits") -> str:
    return f"  {fit(name, 12)} {fit(level, 38)} {m:>8}{u:>9}{bits:>8}"
