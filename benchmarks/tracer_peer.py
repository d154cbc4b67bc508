"""Fit tracer-llm on one split and print, as JSON, what it would serve: run in its own environment.

    python tracer_peer.py FOLDER TARGET

FOLDER holds traces.jsonl ({"input", "teacher"} a line), train.npy, test.npy (embeddings) and
answers.json (the test split's upstream labels). tracer-llm needs an older numpy than slimdown, so
it cannot share a process, nor a virtual environment, with it.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tracer


def main(folder: Path, target: float) -> None:
    # Its own advice for many classes: gradient boosting takes longer than all else together.
    config = tracer.FitConfig(
        target_teacher_agreement=target, verbose=False, skip_candidates=("gbt",)
    )
    started = time.perf_counter()
    out = folder / "policy"
    embeddings = np.load(folder / "train.npy")
    tracer.fit(folder / "traces.jsonl", out, embeddings=embeddings, config=config)
    row = {"seconds": time.perf_counter() - started, "coverage": 0.0, "disagreement": None}
    if json.loads((out / "manifest.json").read_text()).get("selected_method") is not None:
        routed = tracer.load_router(out).predict_batch(np.load(folder / "test.npy"))
        handled = np.asarray(routed["handled"], bool)
        answers = json.loads((folder / "answers.json").read_text())
        wrong = [
            ours != theirs
            for ours, theirs, served in zip(routed["labels"], answers, handled, strict=True)
            if served
        ]
        row["coverage"] = float(handled.mean())
        row["disagreement"] = sum(wrong) / len(wrong) if wrong else None
    print(json.dumps(row))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
