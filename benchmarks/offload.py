"""What can be offloaded, at which floor, and how often the promise breaks, on recorded calls.

    python benchmarks/offload.py [--folder KEPT] [SET ...]

Each set is trained once per rung on its training calls; the rest is the pool. Coverage is measured
over RESPLITS splits of the pool into calibration and an unseen rest. Whether the promise holds is
measured where the truth is known: as many draws of calibration, with replacement, from the pool as
the population; a floor is broken where the disagreement of what would be served of the whole
population exceeds it. (On the unseen rest alone a kept floor may seem broken by chance: the JSON
has those figures as broken_unseen.) Beside it stand a naive threshold (the most lenient whose
disagreement on calibration is within the floor) and, for single labels, tracer-llm. With SETs only
those rows are made anew; what is trained is kept in the folder, if one is named, and found again.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from offload_sets import SETS, LogSet, Split
from record import FOLDER, write_result
from slimdown.certify import certify, naive_threshold
from slimdown.resolve import resolve
from slimdown.seal import Sealer
from slimdown.types import Dataset, Graded, Refusal
from slimdown.workspace.contender import Contender, Ladder, contend, graded

FLOORS = (0.10, 0.05, 0.02)
RESPLITS = 120
DELTA = 0.05
RUNGS = ("linear", "fields")
TRACER = "tracer-llm 0.3.3"


def main(names: Sequence[str], kept: str | None) -> None:
    wanted = [s for s in SETS if not names or s.key in names or s.name in names]
    rows = [row for row in kept_rows() if row["key"] not in {s.key for s in wanted}]
    with tempfile.TemporaryDirectory() as scratch:
        folder = kept or scratch
        for log_set in wanted:
            rows += measured(log_set, Path(folder))
            keep(rows)
        for log_set in wanted:
            if log_set.tracer:
                rows.append(tracer_row(log_set, log_set.splits()[0], Path(scratch)))
                keep(rows)
    show(rows)


def keep(rows: list[dict[str, Any]]) -> None:
    order, rungs = [s.key for s in SETS], [*RUNGS, TRACER]
    rows.sort(key=lambda row: (order.index(row["key"]), rungs.index(row["rung"])))
    write_result("offload", rows, {"resplits": RESPLITS, "delta": DELTA})


def kept_rows() -> list[dict[str, Any]]:
    path = FOLDER / "offload.json"
    return list(json.loads(path.read_text("utf-8"))["rows"]) if path.exists() else []


def measured(log_set: LogSet, folder: Path) -> list[dict[str, Any]]:
    """Measure one set on every rung that takes it; a rung that objects says why."""
    splits = log_set.splits()
    rows = []
    for rung in RUNGS:
        objection = resolve("rungs", rung)().objection(splits[0].dataset)
        if objection:
            rows.append(base_row(log_set, rung, splits[0]) | {"left": objection})
        else:
            few = splits if rung == "linear" else splits[:1]
            rows.append(rung_row(log_set, rung, few, folder))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def base_row(log_set: LogSet, rung: str, split: Split) -> dict[str, Any]:
    seen = len(split.dataset.train) + len(split.dataset.dev)
    return {
        "key": log_set.key,
        "set": log_set.name,
        "upstream": log_set.upstream,
        "kind": split.dataset.kind,
        "rung": rung,
        "sizes": f"{seen:,} / {len(split.dataset.calibration):,}",
    }


def rung_row(log_set: LogSet, rung: str, splits: Sequence[Split], folder: Path) -> dict[str, Any]:
    trials: list[dict[str, Any]] = []
    contenders, agreements, extras = [], [], []
    for split in splits:
        contender, pool = trained(rung, split.dataset, folder)
        contenders.append(contender)
        agreements.append(statistics.fmean(g.agreed for g in pool))
        extras.append(split.extras(contender.predictions))
        n = max(1, RESPLITS // len(splits))
        share = split.calibration_share
        trials += [t for seed in range(n) for t in trial(contender, pool, seed, share)]
    times = [c.timing.latency_ms for c in contenders if c.timing]
    return (
        base_row(log_set, rung, splits[0])
        | {
            "agreement": statistics.fmean(agreements),
            "n_trained": len(splits),
            "train_seconds": statistics.fmean(c.manifest.train_seconds for c in contenders),
            "latency_ms": statistics.median(times),
            "megabytes": contenders[0].n_bytes / 1e6,
        }
        | {key: statistics.fmean(e[key] for e in extras) for key in extras[0]}
        | floor_figures(trials)
    )


def tracer_row(log_set: LogSet, split: Split, folder: Path) -> dict[str, Any]:
    """Fit tracer-llm on the first split's training calls and the calibration half of its pool."""
    row = base_row(log_set, TRACER, split)
    python = FOLDER / ".tracer" / "bin" / "python"
    if not python.exists():
        return row | {"left": "not installed: run `scripts/setup bench`"}
    pool = list(split.dataset.calibration)
    Random(0).shuffle(pool)
    cut = round(split.calibration_share * len(pool))
    calibration, unseen = pool[:cut], pool[cut:]
    seen = [*split.dataset.train, *split.dataset.dev, *calibration]
    encoder = resolve("embedders", "minilm")()
    np.save(folder / "train.npy", encoder.embed([e.input for e in seen]))
    np.save(folder / "test.npy", encoder.embed([e.input for e in unseen]))
    traces = (json.dumps({"input": e.input, "teacher": e.output}) for e in seen)
    (folder / "traces.jsonl").write_text("\n".join(traces), "utf-8")
    (folder / "answers.json").write_text(json.dumps([e.output for e in unseen]), "utf-8")
    for floor in FLOORS[:2]:
        command = [str(python), str(FOLDER / "tracer_peer.py"), str(folder), str(1 - floor)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        percent = f"{floor * 100:.0f}"
        row |= {
            f"coverage_{percent}": found["coverage"],
            f"disagreement_unseen_{percent}": found["disagreement"],
            "train_seconds": found["seconds"],
        }
    return row


def trained(rung: str, dataset: Dataset, folder: Path) -> tuple[Contender, list[Graded]]:
    ladder = Ladder(
        rungs=RUNGS, risk=FLOORS[-1], delta=DELTA, folder=folder, sealer=Sealer(bytes(32))
    )
    contender = contend(rung, dataset.task_id, dataset, ladder, lambda _share, _note: None)
    return contender, graded(dataset, contender)


def trial(
    contender: Contender, pool: Sequence[Graded], seed: int, share: float
) -> list[dict[str, Any]]:
    """Certify each floor on a part of the pool, and on a draw from it as the population."""
    random = Random(seed)
    order = list(pool)
    random.shuffle(order)
    cut = round(share * len(order))
    drawn = random.choices(pool, k=cut)
    found = []
    for floor in FLOORS:
        for method, limit_of in (("slimdown", certified), ("naive", naive)):
            limit = limit_of(contender, order[:cut], floor)
            seen = outcome(limit, floor, order[cut:])
            truth = outcome(limit_of(contender, drawn, floor), floor, pool)
            found.append(
                {
                    "floor": floor,
                    "method": method,
                    "coverage": seen["coverage"],
                    "broken_unseen": seen["broken"],
                    "broken": truth["broken"],
                }
            )
    return found


def certified(contender: Contender, calibration: Sequence[Graded], floor: float) -> float | None:
    decision = certify(contender.dev, calibration, risk=floor, delta=DELTA)
    return None if isinstance(decision, Refusal) else decision.threshold


def naive(_contender: Contender, calibration: Sequence[Graded], floor: float) -> float | None:
    return naive_threshold(calibration, floor)


def outcome(limit: float | None, floor: float, answers: Sequence[Graded]) -> dict[str, Any]:
    if limit is None:
        return {"coverage": 0.0, "broken": False}
    coverage = statistics.fmean(g.score >= limit for g in answers)
    return {"coverage": coverage, "broken": disagreement(answers, limit) > floor}


def disagreement(answers: Sequence[Graded], limit: float) -> float:
    served = [not g.agreed for g in answers if g.score >= limit]
    return statistics.fmean(served) if served else 0.0


def floor_figures(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return coverage and broken floors per floor, for both methods, and the worst of each."""
    figures: dict[str, Any] = {}
    for method, prefix in (("slimdown", ""), ("naive", "naive_")):
        worst = 0.0
        for floor in FLOORS:
            some = [t for t in trials if t["method"] == method and t["floor"] == floor]
            percent = f"{floor * 100:.0f}"
            broken = statistics.fmean(t["broken"] for t in some)
            worst = max(worst, broken)
            figures[f"{prefix}coverage_{percent}"] = statistics.fmean(t["coverage"] for t in some)
            figures[f"{prefix}broken_{percent}"] = broken
            figures[f"{prefix}broken_unseen_{percent}"] = statistics.fmean(
                t["broken_unseen"] for t in some
            )
            figures[f"{prefix}certified_{percent}"] = statistics.fmean(
                t["coverage"] > 0 for t in some
            )
        figures[f"{prefix}broken_worst"] = worst
    return figures


def show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None)
    columns = {
        "set": "", "rung": "", "sizes": "", "agreement": ".3f", "coverage_10": ".2f",
        "coverage_5": ".2f", "coverage_2": ".2f", "broken_worst": ".3f",
        "naive_broken_worst": ".2f", "train_seconds": ".0f", "latency_ms": ".1f",
        "megabytes": ".1f",
    }  # fmt: skip
    for name in columns:
        table.add_column(name)
    for row in rows:
        cells = [format(row[k], f) if row.get(k) is not None else "-" for k, f in columns.items()]
        table.add_row(*cells)
    console = Console(width=160)
    console.print(table)
    for row in rows:
        if row.get("left"):
            console.print(f"{row['set']} / {row['rung']}: left to the LLM: {row['left']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder")
    parser.add_argument("sets", nargs="*")
    given = parser.parse_args()
    main(given.sets, given.folder)
