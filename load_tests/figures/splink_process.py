"""Splink linking new records to known ones, a batch at a time; run by the Python of its own folder.

    python splink_process.py FILE BATCH KNOWN...

Trains on the whole file without labels, then links a batch to so many known
records, once per KNOWN, and prints the seconds that each took as JSON. Imports
nothing of the project: it runs where only Splink is installed.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

COLUMNS = (
    "given_name",
    "family_name",
    "birth_date",
    "birth_place",
    "postcode",
    "gender",
    "occupation",
)


def _settings() -> Any:
    from splink import SettingsCreator, block_on  # noqa: PLC0415 - absent where this is checked
    from splink import comparison_library as compare  # noqa: PLC0415

    rules = [
        ("family_name", "given_name"),
        ("family_name", "birth_date"),
        ("given_name", "birth_date"),
        ("postcode", "family_name"),
        ("postcode", "birth_date"),
        ("birth_place", "birth_date"),
        ("birth_place", "family_name"),
        ("occupation", "birth_date"),
    ]
    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="row",
        comparisons=[
            compare.JaroWinklerAtThresholds("given_name", [0.92, 0.8]),
            compare.JaroWinklerAtThresholds("family_name", [0.92, 0.8]),
            compare.LevenshteinAtThresholds("birth_date", [1, 2]),
            compare.LevenshteinAtThresholds("birth_place", [2]),
            compare.LevenshteinAtThresholds("postcode", [1, 2]),
            compare.ExactMatch("gender"),
            compare.ExactMatch("occupation"),
        ],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in rules],
    )


def main() -> None:
    """Measure, and print what was measured."""
    import duckdb  # noqa: PLC0415 - absent where this is checked
    from splink import DuckDBAPI, Linker, block_on  # noqa: PLC0415

    logging.disable(logging.WARNING)
    file, batch, known = sys.argv[1], int(sys.argv[2]), [int(n) for n in sys.argv[3:]]
    database = duckdb.connect()
    database.execute(
        f"CREATE TABLE people AS SELECT row_number() OVER () AS row, {', '.join(COLUMNS)}"  # noqa: S608
        f" FROM read_csv('{file}', all_varchar = true, header = true)"
    )
    api = DuckDBAPI(connection=database)
    linker = Linker(api.register("people"), _settings())
    training = linker.training
    training.estimate_u_using_random_sampling(max_pairs=1_000_000)
    for rule in (("given_name", "family_name"), ("birth_date",)):
        training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    found = []
    for number, count in enumerate(known):
        database.execute(f"CREATE TABLE old_{number} AS SELECT * FROM people WHERE row <= {count}")  # noqa: S608
        database.execute(
            f"CREATE TABLE new_{number} AS SELECT * FROM people"  # noqa: S608
            f" WHERE row > {count} AND row <= {count + batch}"
        )
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        old, new = api.register(f"old_{number}"), api.register(f"new_{number}")
        pairs = 0
        for scored in (
            linker.inference.predict_between(old, new),
            linker.inference.predict_within(new),
        ):
            pairs += len(scored.as_record_list())
        found.append({
            "wall_s": time.perf_counter() - began_s,
            "cpu_s": time.process_time() - began_cpu_s,
            "pairs": pairs,
        })  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
