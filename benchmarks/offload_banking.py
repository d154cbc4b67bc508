"""How much of Banking77's GPT-4 calls may be served by the ``linear`` rung, at which floors.

Each resplit draws 60 % of the 4,081 calls to learn from, 22 % for calibration and 18 % for test;
trains, certifies, and measures on test what is served and how much of that disagrees with GPT-4.
The naive threshold (what held on dev) is the baseline. Run from the repository's root:

    python benchmarks/offload_banking.py [--resplits 100] [--words-only]
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from record import data_folder, write_result
from slimdown.artefact import Artefact
from slimdown.certify import certify, naive_threshold
from slimdown.encoder import load_encoder
from slimdown.evaluate.confidence import AgreementModel, fit_agreement_model
from slimdown.seal import KEY_BYTES, Sealer
from slimdown.train.linear import LinearRung
from slimdown.types import CurvePoint, Dataset, Example, Graded, Prediction

DATA = data_folder() / "ocats_banking77"
FILES = ("calls_gpt4_test.jsonl.gz", "calls_gpt4_dev.jsonl.gz")
RISKS = (0.1, 0.05, 0.02)
LEARN, CALIBRATION = 0.6, 0.22

Row = dict[str, Any]


class RememberingEncoder:
    """Embeds each text once: the resplits are of the same calls."""

    def __init__(self) -> None:
        self._encoder = load_encoder()
        self._known: dict[str, Any] = {}
        self.name, self.dims = self._encoder.name, self._encoder.dims

    def embed(self, texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._encoder.embed(new), strict=True) if new else ())
        return np.array([self._known[text] for text in texts]).reshape(len(texts), self.dims)


def calls() -> list[Example]:
    examples = []
    for file in FILES:
        text_lines = gzip.decompress((DATA / file).read_bytes()).decode("utf-8").splitlines()
        for line in text_lines:
            record = json.loads(line)
            text = record["request"]["messages"][-1]["content"]
            answer = record["response"]["choices"][0]["message"]["content"].strip()
            name = record["id"]
            examples.append(Example(id=name, input=text, output=answer, session="", group=name))
    return examples


def grade(
    model: AgreementModel, found: Sequence[Prediction], examples: Sequence[Example]
) -> list[Graded]:
    pairs = zip(found, examples, strict=True)
    return [Graded(model.score(p), p.output == e.output) for p, e in pairs]


def resplit(
    rung: LinearRung, examples: Sequence[Example], seed: int
) -> tuple[list[Graded], list[Graded], list[Graded]]:
    """Return dev, calibration and test as graded by a specialist trained on this split."""
    order = np.random.default_rng(seed).permutation(len(examples))
    ends = [int(LEARN * len(order)), int((LEARN + CALIBRATION) * len(order))]
    learn, calibration, test = ([examples[i] for i in part] for part in np.split(order, ends))
    dataset = Dataset(task_id="bank", kind="label", train=tuple(learn), dev=(), calibration=())
    with tempfile.TemporaryDirectory() as folder:
        artefact = Artefact(Path(folder) / "specialist", Sealer(bytes(KEY_BYTES)))
        trained = rung.train(dataset, artefact, lambda share, note: None)
        specialist = rung.load(artefact)
    dev = [d.prediction for d in trained.dev]
    pairs = [(p, p.output == e.output) for p, e in zip(dev, learn, strict=True)]
    model = fit_agreement_model(pairs)
    graded = [
        grade(model, specialist.answer([e.input for e in part]), part)
        for part in (calibration, test)
    ]
    return grade(model, dev, learn), graded[0], graded[1]


def served(test: Sequence[Graded], threshold: float | None) -> dict[str, float]:
    answers = [g for g in test if threshold is not None and g.score >= threshold]
    wrong = sum(not g.agreed for g in answers)
    rate = wrong / len(answers) if answers else 0.0
    return {"coverage": len(answers) / len(test), "disagreement": rate}


def measured(dev: list[Graded], calibration: list[Graded], test: list[Graded]) -> list[Row]:
    """Serve one resplit by either way at each floor."""
    rows: list[Row] = []
    for risk in RISKS:
        verdict = certify(dev, calibration, risk=risk)
        certified = verdict.threshold if isinstance(verdict, CurvePoint) else None
        for way, limit in (("certificate", certified), ("naive", naive_threshold(dev, risk))):
            held_out = served([*calibration, *test], limit)["disagreement"]
            rows.append({"way": way, "risk": risk, "held_out": held_out, **served(test, limit)})
    return rows


def summary(rows: Sequence[Row], way: str, risk: float) -> Row:
    mine = [row for row in rows if (row["way"], row["risk"]) == (way, risk)]
    live = [row for row in mine if row["coverage"] > 0]
    return {
        "way": way,
        "risk": risk,
        "coverage_on_test": round(statistics.fmean(row["coverage"] for row in mine), 4),
        "disagreement_on_test": round(
            statistics.fmean([r["disagreement"] for r in live] or [0]), 4
        ),
        "n_serving": len(live),
        "n_above_floor_on_test": sum(row["disagreement"] > risk for row in mine),
        "n_above_floor_on_all_held_out": sum(row["held_out"] > risk for row in mine),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument(
        "--words-only", action="store_true", help="as in an install without weights"
    )
    options = parser.parse_args()
    encoder = None if options.words_only else RememberingEncoder()
    rung, examples = LinearRung(lambda: encoder), calls()
    rows: list[Row] = []
    agreed = []
    for seed in range(options.resplits):
        dev, calibration, test = resplit(rung, examples, seed)
        agreed.append(statistics.fmean(g.agreed for g in test))
        rows += measured(dev, calibration, test)
    facts = {
        "n_calls": len(examples),
        "n_resplits": options.resplits,
        "agreement_on_test": round(statistics.fmean(agreed), 4),
    }
    table = [summary(rows, way, risk) for way in ("certificate", "naive") for risk in RISKS]
    name = "offload_banking_words" if options.words_only else "offload_banking"
    print(write_result(name, table, facts).read_text("utf-8"))


if __name__ == "__main__":
    main()
