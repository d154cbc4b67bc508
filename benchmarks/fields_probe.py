"""Trains the `fields` rung on public sets and prints what it gets right on their test splits.

    python benchmarks/fields_probe.py snips:2000 snips:13000 banking77:10003 clinc150:15000

Each argument is a set and a number of training calls, drawn by a fixed seed; with ``:N`` left out
all are used. Ground truth stands in for the upstream. SNIPS: one model for its seven call sites,
with the intent that the system prompt names put before the message. CLINC150: without the
out-of-scope texts. extractgpt: GPT-4's answers, 400 calls to train and 124 to test.
Columns: exact match; largest share of the test split, by confidence, that agrees 95 / 98 % (an
oracle's choice); wall-clock and CPU seconds of training; CPU milliseconds an answer, one thread.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from record import data_folder, write_result
from slimdown.artefact import Artefact
from slimdown.seal import Sealer
from slimdown.train.fields import FieldsRung
from slimdown.types import Dataset, Example, OutputKind, Prediction

Pair = tuple[str, Any]
Split = tuple[list[Pair], list[Pair], OutputKind]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", help=f"of {', '.join(SETS)}, each with :N or without")
    parser.add_argument("--epochs", type=float, help="train so long, whatever the budget")
    asked = parser.parse_args()
    length = {"least": asked.epochs, "most": asked.epochs} if asked.epochs else {}
    rows = [measured(name, FieldsRung(**length)) for name in asked.sets]
    write_result("fields_probe", rows, {"epochs": asked.epochs})


def measured(name: str, rung: FieldsRung) -> dict[str, Any]:
    title, _, n = name.partition(":")
    train, test, kind = SETS[title]()
    random.Random(0).shuffle(train)
    train = train[: int(n)] if n else train
    dataset = Dataset(task_id=title, kind=kind, train=examples(train), dev=(), calibration=())
    with tempfile.TemporaryDirectory() as folder:
        artefact = Artefact(Path(folder) / "specialist", Sealer(bytes(32)))
        wall, cpu = time.perf_counter(), time.process_time()
        facts = rung.train(dataset, artefact, lambda share, note: None).facts
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        specialist, answering = rung.load(artefact), time.process_time()
        answers = [answer for text, _ in test for answer in specialist.answer([text])]
        answer_ms = 1e3 * (time.process_time() - answering) / len(test)
        n_bytes = artefact.n_bytes
    row = {
        "set": title,
        "n_train": len(train),
        **graded(answers, [output for _, output in test]),
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "epochs": facts["epochs"],
        "answer_cpu_ms": round(answer_ms, 2),
        "megabytes": round(n_bytes / 1e6, 1),
    }
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def graded(answers: Sequence[Prediction], truths: Sequence[Any]) -> dict[str, float]:
    right = np.array([a.output == t for a, t in zip(answers, truths, strict=True)])
    order = np.argsort([-a.confidence for a in answers], kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(right) + 1)
    coverage = {
        f"coverage_{floor}": round(
            float((np.flatnonzero(share >= floor / 100).max(initial=-1) + 1) / len(right)), 3
        )
        for floor in (95, 98)
    }
    return {"exact_match": round(float(right.mean()), 4), "n_test": len(right), **coverage}


def examples(pairs: Sequence[Pair]) -> tuple[Example, ...]:
    return tuple(
        Example(id=str(i), input=text, output=output, session=str(i), group=str(i))
        for i, (text, output) in enumerate(pairs)
    )


def records(file: str) -> Iterator[dict[str, Any]]:
    with gzip.open(data_folder() / file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def said(call: dict[str, Any]) -> Any:
    return json.loads(call["response"]["choices"][0]["message"]["content"])


def asked_of(call: dict[str, Any]) -> str:
    return str(call["request"]["messages"][-1]["content"])


def snips() -> Split:
    split: dict[str, list[Pair]] = {"train": [], "validate": []}
    for call in records("snips_slots/calls_human.jsonl.gz"):
        intent = call["request"]["messages"][0]["content"].split(" a ")[1].split()[0]
        split[call["metadata"]["split"]].append((f"{intent} | {asked_of(call)}", said(call)))
    return split["train"], split["validate"], "json"


def restaurant8k() -> Split:
    split: dict[str, list[Pair]] = {"train": [], "test": []}
    for call in records("restaurant8k_slots/calls_human.jsonl.gz"):
        split[call["metadata"]["split"]].append((asked_of(call), said(call)))
    return split["train"], split["test"], "json"


def extractgpt() -> Split:
    calls = list(records("extractgpt_ae110k/calls_gpt4_schema10shot_tr100.jsonl.gz"))
    random.Random(0).shuffle(calls)
    pairs = [(f"{c['metadata']['category']} | {asked_of(c)}", said(c)) for c in calls]
    return pairs[:400], pairs[400:], "json"


def banking77() -> Split:
    train = [(r["text"], r["label"]) for r in records("ocats_banking77/human_train.jsonl.gz")]
    dev, test = (
        [(asked_of(c), c["label"]) for c in records(f"ocats_banking77/calls_gpt4_{part}.jsonl.gz")]
        for part in ("dev", "test")
    )
    return train + dev, test, "label"


def clinc150() -> Split:
    rows = [r for r in records("clinc150/labelled.jsonl.gz") if r["label"] != "oos"]
    train, test = (
        [(r["text"], r["label"]) for r in rows if r["split"] == part] for part in ("train", "test")
    )
    return train, test, "label"


SETS: dict[str, Callable[[], Split]] = {
    "snips": snips,
    "restaurant8k": restaurant8k,
    "extractgpt": extractgpt,
    "banking77": banking77,
    "clinc150": clinc150,
}

if __name__ == "__main__":
    main()
