"""Write the tables in README.md anew from benchmarks/*.json; with --check, only compare.

A table stands between ``<!-- table:NAME -->`` and ``<!-- end -->``, where NAME is a key of TABLES.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

Column = tuple[str, str, str]
"""Title, key of the row, format."""

TABLES: dict[str, tuple[Column, ...]] = {
    "offload": (
        ("calls", "set", ""),
        ("answered by", "upstream", ""),
        ("rung", "rung", ""),
        ("train / test", "sizes", ""),
        ("agreement", "agreement", ".3f"),
        ("certified coverage at 10 %", "coverage_10", ".2f"),
        ("5 %", "coverage_5", ".2f"),
        ("2 %", "coverage_2", ".2f"),
        ("worst share of broken floors", "broken_worst", ".1%"),
        ("same, naive", "naive_broken_worst", ".0%"),
        ("trains in", "train_seconds", ".0f"),
        ("p50 ms", "latency_ms", ".1f"),
        ("MB", "megabytes", ".1f"),
        ("left to the LLM because", "left", ""),
    ),
    "discover": (
        ("traffic", "form", ""),
        ("method", "method", ""),
        ("calls", "n_calls", ",.0f"),
        ("V-measure", "v", ".3f"),
        ("ARI", "ari", ".3f"),
        ("calls/s", "calls_per_s", ",.0f"),
    ),
    "store": (
        ("log", "set", ""),
        ("calls", "n_calls", ",.0f"),
        ("imported/s", "imported_per_s", ",.0f"),
        ("bytes a call: JSONL", "plain_bytes_per_call", ",.0f"),
        ("gzip", "gzip_bytes_per_call", ",.0f"),
        ("sealed store", "store_bytes_per_call", ",.0f"),
        ("of JSONL", "store_share_of_plain", ".0%"),
    ),
    "gateway": (
        ("gateway", "gateway", ""),
        ("added p50 ms, 1 connection", "added_p50_ms_1", ".2f"),
        ("added p99 ms", "added_p99_ms_1", ".2f"),
        ("calls/s, 32 connections", "calls_per_s_32", ",.0f"),
        ("slimdown has times", "slimdown_times_calls_per_s_32", ".1f"),
        ("CPU us a call", "cpu_us_32", ",.0f"),
        ("MB idle", "idle_mb", ",.0f"),
        ("calls lost", "n_lost", ""),
    ),
    "streams": (
        ("gateway", "gateway", ""),
        ("added time to first token, p50 ms", "added_first_token_p50_ms", ".2f"),
        ("p99 ms", "added_first_token_p99_ms", ".2f"),
        ("chunks missing", "n_missing", ""),
        ("out of order", "n_out_of_order", ""),
        ("merged", "n_merged", ""),
    ),
    "served": (
        ("specialist", "specialist", ""),
        ("served p50 ms", "p50_ms", ".1f"),
        ("p99 ms", "p99_ms", ".1f"),
        ("share served", "served_share", ".0%"),
        ("not sure enough, so upstream: p50 ms", "not_sure_p50_ms", ".1f"),
        ("upstream alone p50 ms", "upstream_p50_ms", ".1f"),
    ),
}

SOURCES = {"streams": "gateway", "served": "gateway"}
"""Tables whose result is another benchmark's."""

NEEDED = {
    "discover": "ari",
    "gateway": "calls_per_s_32",
    "streams": "first_token_p50_ms",
    "served": "served_share",
}
"""Rows without this key hold other figures than the table's; the JSON has them."""


def main(arguments: list[str]) -> int:
    text = README.read_text("utf-8")
    fresh = rewritten(text)
    if "--check" in arguments:
        if fresh != text:
            print("README.md: tables differ from benchmarks/*.json; run scripts/readme_tables.py")
        return int(fresh != text)
    README.write_text(fresh, "utf-8")
    return 0


def rewritten(text: str) -> str:
    """Return the README with each table made anew from its benchmark's result."""

    def made(match: re.Match[str]) -> str:
        return f"<!-- table:{match[1]} -->\n{table(match[1])}\n<!-- end -->"

    return re.sub(r"<!-- table:(\w+) -->.*?<!-- end -->", made, text, flags=re.DOTALL)


def table(name: str) -> str:
    """Return one benchmark's Markdown table, with where and when it was measured."""
    source = SOURCES.get(name, name)
    result = json.loads((ROOT / "benchmarks" / f"{source}.json").read_text("utf-8"))
    columns = TABLES[name]
    lines = [
        "| " + " | ".join(title for title, _, _ in columns) + " |",
        "|" + "---|" * len(columns),
    ]
    for row in result["rows"]:
        if NEEDED.get(name, columns[0][1]) in row:
            cells = (cell(row.get(key), form) for _, key, form in columns)
            lines.append("| " + " | ".join(cells) + " |")
    where = f"{result['machine']}, commit {result['commit']}, {result['date'][:10]}"
    return "\n".join([*lines, "", f"`benchmarks/{source}.py`: {where}."])


def cell(value: Any, form: str) -> str:
    """Return one cell; a missing figure is a dash."""
    if value is None:
        return "-"
    return format(value, form) if form else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
