"""Rounds to rows: medians, what a gateway adds to the upstream's own time, ratios, digits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]


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
    return [row | {f"slimdown_times_{k}": ours[k] / row[k] for k in keys} for row in rows]


def rounded(row: Mapping[str, Any]) -> Row:
    """Return the row with as many digits as a measurement bears."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}


def _median(runs: Sequence[Mapping[str, Any]]) -> Row:
    row: Row = {"gateway": runs[0]["gateway"], "rounds": len(runs)}
    for key, first in runs[0].items():
        if key.startswith("n_"):
            row[key] = sum(run[key] for run in runs)
        elif isinstance(first, int | float):
            row[key] = statistics.median(run[key] for run in runs)
    return row
