"""How often the certificate's promise breaks on simulated specialists, and what it covers.

A trial draws 600 dev and 700 calibration answers at a floor of 5 %; delta is 5 %. "forced" gives
the test a dev that never disagrees, so that each trial is tested: the worst case for the promise.


    python benchmarks/promise.py [TRIALS]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "certify"))

from populations import RATES, RISK, draw, true_disagreement

from record import write_result
from slimdown.certify import certify
from slimdown.types import CurvePoint, Graded

N_DEV, N_CALIBRATION = 600, 700


def row(name: str, trials: int, *, forced: bool) -> dict[str, Any]:
    chance = np.random.default_rng(7)
    broken, coverages = 0, []
    for _ in range(trials):
        dev, calibration = draw(name, N_DEV, chance), draw(name, N_CALIBRATION, chance)
        if forced:
            dev = [Graded(g.score, True) for g in dev]
        verdict = certify(dev, calibration, risk=RISK)
        if isinstance(verdict, CurvePoint):
            broken += true_disagreement(name, verdict.threshold) > RISK
        coverages.append(verdict.coverage if isinstance(verdict, CurvePoint) else 0.0)
    limits = np.linspace(0, 1, 401)[:-1]
    within = [1 - t for t in limits if true_disagreement(name, float(t)) <= RISK]
    return {
        "population": name,
        "forced": forced,
        "trials": trials,
        "broken": broken / trials,
        "coverage": round(float(np.mean(coverages)), 3),
        "oracle_coverage": round(max(within, default=0.0), 3),
    }


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rows = [row(name, trials, forced=False) for name in RATES]
    rows += [row("just above the floor", trials, forced=True)]
    print(write_result("promise", rows).read_text("utf-8"))


if __name__ == "__main__":
    main()
