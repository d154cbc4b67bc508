"""How much of Banking77's GPT-4 calls may be served by the ``linear`` rung, at which floors.

Each resplit draws 60 % of the 4,081 calls to learn from, 22 % for calibration and 18 % for test;
trains, certifies, and measures on test what is served and how much of that disagrees with GPT-4.
The naive threshold (what held on dev) is the baseline. Run from the repository's root:

    python benchmarks/offload_banking.py --resplits 100 --out FILE
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slimdown.artefact import Artefact
from slimdown.certify import certify, naive_threshold
from slimdown.encoder import load_encoder
from slimdown.evaluate.confidence import AgreementModel, fit_agreement_model
from slimdown.seal import KEY_BYTES, Sealer
from slimdown.train.linear import LinearRung
from slimdown.types import CurvePoint, Dataset, Example, Graded, Prediction

DATA = Path(os.environ.get("SLIMDOWN_DATA", "../shared/data")) / "ocats_banking77"
FILES = ("calls_gpt4_test.jsonl.gz", "calls_gpt4_dev.jsonl.gz")
RISKS = (0.1, 0.05, 0.02)
LEARN, CALIBRATION = 0.6, 0.22


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


def summary(rows: Sequence[dict[str, float]], risk: float) -> dict[str, float]:
    live = [row for row in rows if row["coverage"] > 0]
    return {
        "certified_coverage": round(float(np.mean([r["coverage"] for r in rows])), 4),
        "served_disagreement": round(float(np.mean([r["disagreement"] for r in live] or [0])), 4),
        "served_in": len(live),
        "above_floor_on_test": sum(row["disagreement"] > risk for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--words-only", action="store_true", help="as in an install without torch")
    options = parser.parse_args()
    encoder = None if options.words_only else RememberingEncoder()
    rung = LinearRung(lambda: encoder)
    examples, agreed = calls(), []
    rows: dict[str, dict[float, list[dict[str, float]]]] = {
        way: {risk: [] for risk in RISKS} for way in ("certificate", "naive")
    }
    for seed in range(options.resplits):
        dev, calibration, test = resplit(rung, examples, seed)
        agreed.append(sum(g.agreed for g in test) / len(test))
        for risk in RISKS:
            verdict = certify(dev, calibration, risk=risk)
            limit = verdict.threshold if isinstance(verdict, CurvePoint) else None
            rows["certificate"][risk].append(served(test, limit))
            rows["naive"][risk].append(served(test, naive_threshold(dev, risk)))
    result = {
        "calls": len(examples),
        "resplits": options.resplits,
        "words_only": options.words_only,
        "agreement_on_test": round(float(np.mean(agreed)), 4),
        **{way: {f"{r:g}": summary(rows[way][r], r) for r in RISKS} for way in rows},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
