"""Real rungs that are killed midway, reached by "killed_fakes:Name" in the child process."""

from __future__ import annotations

import os
import signal
from typing import Any

from slimdown.artefact import Artefact
from slimdown.encoder import load_encoder
from slimdown.seams import Progress
from slimdown.train.fields import FieldsRung
from slimdown.train.linear import LinearRung
from slimdown.types import Dataset, Trained

ENCODER = "TEST_ENCODER"
"""Variable that names the encoder's folder."""

SCHEDULE: dict[str, Any] = {
    "least": 6.0,
    "most": 6.0,
    "rate": 2e-3,
    "head_rate": 2e-2,
    "checkpoint_s": 0.0,
}


class KilledFieldsRung(FieldsRung):
    """Is killed midway through its steps unless it begins with a checkpoint."""

    def __init__(self) -> None:
        super().__init__(os.environ[ENCODER], **SCHEDULE)

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        resumed = artefact.has("checkpoint")

        def watched(share: float, note: str) -> None:
            progress(share, note)
            if share > 0.4 and not resumed:
                os.kill(os.getpid(), signal.SIGKILL)

        return super().train(dataset, artefact, watched)


class KilledLinearRung(LinearRung):
    """Is killed when its texts are read, unless it begins with their meanings."""

    def __init__(self) -> None:
        super().__init__(lambda: load_encoder(os.environ[ENCODER], threads=1))

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        resumed = artefact.has("checkpoint-meaning")

        def watched(share: float, note: str) -> None:
            progress(share, note)
            if note == "folds" and not resumed:
                os.kill(os.getpid(), signal.SIGKILL)

        return super().train(dataset, artefact, watched)
