"""Rounds to rows: medians, what a gateway adds to the upstream's own time, ratios, digits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]

COLUMNS: dict[str, tuple[str, ...]] = {
    "throughput": (
        "gateway", "p50_ms_1", "p99_ms_1", "added_p50_ms_1", "added_p99_ms_1", "p50_ms_32",
        "p99_ms_32", "calls_per_s_1", "calls_per_s_32", "slimdown_times_calls_per_s_32",
        "cpu_us_32", "idle_mb", "resident_mb", "n_errors_32", "n_lost",
    ),
    "stream": (
        "gateway", "added_first_token_p50_ms", "added_first_token_p99_ms", "transit_p50_ms",
        "transit_p99_ms", "jitter_p99_ms", "n_missing", "n_out_of_order", "n_merged",
        "n_read_together",
    ),
    "specialists": (
        "specialist", "p50_ms", "p99_ms", "served_share", "not_sure_p50_ms", "upstream_p50_ms",
        "gateway_cpu_ms", "runtime_cpu_ms", "gateway_mb", "runtime_mb", "n_errors",
    ),
    "faults": (
        "fault", "first_added_ms", "worst_added_ms", "n_slow", "open_added_p50_ms",
        "open_added_p99_ms", "n_errors", "n_served",
    ),
    "memory": ("process", "idle_mb"),
    "profile": ("by", "name", "share"),
}  # fmt: skip
"""What each part's table shows of its rows; the result holds more."""


def medians(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return one row a gateway, in the order first seen: medians of its rounds; counts summed."""
    names = list(dict.fromkeys(run["gateway"] for run in runs))
    return [_median([run for run in runs if run["gateway"] == name]) for name in names]


def with_added(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Add to each row how much greater a figure is than without a gateway (row "direct")."""
    direct = next((row for row in rows if row["gateway"] == "direct"), None)
    if direct is None:
        return list(rows)
    return [row | {f"added_{key}": row[key] - direct[key] for key in keys} for row in rows]


def with_ratios(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Add to each row how many times the figure slimdown has."""
    ours = next((row for row in rows if row["gateway"] == "slimdown"), None)
    if ours is None:
        return list(rows)
    return [row | {f"slimdown_times_{k}": ours[k] / row[k] for k in keys if row[k]} for row in rows]


def rounded(row: Mapping[str, Any]) -> Row:
    """Return the row with as many digits as a measurement bears."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}


def print_table(part: str, rows: Sequence[Row]) -> None:
    """Print a part's rows; a missing figure is a dash."""
    columns = COLUMNS[part]
    table = Table(title=part, box=None, title_justify="left")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="left" if name == columns[0] else "right")
    for row in rows:
        cells = [row.get(name) for name in columns]
        table.add_row(*("-" if cell is None else str(cell) for cell in cells))
    Console(width=200).print(table)


def _median(runs: Sequence[Mapping[str, Any]]) -> Row:
    row: Row = {"gateway": runs[0]["gateway"], "rounds": len(runs)}
    for key, first in runs[0].items():
        if key.startswith("n_"):
            row[key] = sum(run[key] for run in runs)
        elif isinstance(first, int | float):
            row[key] = statistics.median(run[key] for run in runs)
    return row
