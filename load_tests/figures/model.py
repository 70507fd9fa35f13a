"""What a figure is: its unit, its target, and the runs it was measured in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

LOOKUP_CPU_OF_FEAST_US = 2_200.0
"""CPU time per lookup of Feast 0.67's gRPC server with Redis, the lower end of what was measured
on two shared cores."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A figure by name. `at_least` or `at_most` is its target; without either it has none."""

    name: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:,g}"
        return "none" if self.at_most is None else f"at most {self.at_most:,g}"

    def is_met(self, value: float) -> bool:
        """Whether a value reaches the target."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is None or value <= self.at_most


SPECS = (
    Spec("ingest_neo4j_known_ratio", "ours / bare", at_least=1.0),
    Spec("ingest_neo4j_new_ratio", "ours / bare", at_least=0.3),
    Spec("ingest_embedded_per_s", "signals/s", at_least=5_000),
    Spec("ingest_growth_ratio", "large / small", at_least=0.8),
    Spec("lookup_handler_us", "µs CPU", at_most=15.0),
    Spec("lookup_cpu_us", "µs CPU", at_most=LOOKUP_CPU_OF_FEAST_US / 10),
    Spec("lookup_batch_ratio", "ours / constant", at_most=2.0),
    Spec("enforcement_us", "µs CPU", at_most=3.0),
    Spec("match_records_per_s", "records/s", at_least=1_400),
    Spec("match_splink_ratio", "ours / Splink", at_least=1.0),
    Spec("match_one_ms", "ms", at_most=3.0),
    Spec("match_one_p99_ms", "ms", at_most=15.0),
    Spec("match_neo4j_records_per_s", "records/s"),
    Spec("match_neo4j_one_ms", "ms"),
    Spec("freshness_p50_ms", "ms", at_most=100.0),
    Spec("freshness_p99_ms", "ms", at_most=500.0),
    Spec("withdrawal_p99_ms", "ms", at_most=1_000.0),
    Spec("erase_unseen_p99_ms", "ms", at_most=2_000.0),
    Spec("erase_done_p99_ms", "ms"),
    Spec("export_stats_s", "s", at_most=60.0),
    Spec("export_stats_peak_mib", "MiB", at_most=2_048.0),
    Spec("export_ingest_loss", "share", at_most=0.2),
)
NAMES = tuple(spec.name for spec in SPECS)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure's value in each run, and what was measured beside it in the same runs."""

    name: str
    runs: Sequence[float]
    beside: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def as_json(self, spec: Spec) -> dict[str, object]:
        """What results.json says of it; the median of the runs is judged."""
        return {
            "unit": spec.unit,
            **_spread(self.runs),
            "runs": [_rounded(run) for run in self.runs],
            "target": spec.target,
            "met": spec.is_met(median(self.runs)),
            "beside": {name: _spread(values) for name, values in self.beside.items()},
        }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "min": _rounded(min(values)),
        "median": _rounded(median(values)),
        "max": _rounded(max(values)),
    }


def _rounded(value: float) -> float:
    """Four digits that count; more would pretend."""
    return float(f"{value:.4g}")
