"""Every Protocol and callable type that one may implement, on one page.

Each is reached by a short name, by "module:attribute", or by an entry point (see `resolve`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from slimdown.types import Call, Dataset, OutputKind, Prediction, Trained

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from slimdown.artefact import Artefact

Progress = Callable[[float, str], None]
"""Told the share done, 0..1, and a short note, as a long stage goes on."""


class Embedder(Protocol):
    """Turns texts into unit vectors whose dot product is similarity."""

    @property
    def name(self) -> str:
        """Identifies weights and revision; a cache key."""

    @property
    def dims(self) -> int:
        """Length of each vector."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an array of shape (len(texts), dims), each row of unit length."""


class Specialist(Protocol):
    """A trained model of one task, ready to answer."""

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        """Return one prediction per input, in order; a pure function of the inputs."""


class Rung(Protocol):
    """One step of the ladder: a way to make a specialist for a task."""

    @property
    def name(self) -> str:
        """Short name, as in ``--rungs``."""

    def objection(self, dataset: Dataset) -> str | None:
        """Say in a sentence why this rung does not fit the dataset, or None if it does."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        """Learn from ``train`` and ``dev``; leave weights in ``artefact``; never see calibration.

        Runs in its own process and may be killed at any moment; called again with the same folder
        it goes on from its last whole checkpoint.
        """

    def load(self, artefact: Artefact) -> Specialist:
        """Return the specialist that `train` left, or raise `ArtefactIncomplete`."""


Agreement = Callable[[Any, Any], bool]
"""Says whether a specialist's output and the upstream's mean the same; outputs as in `Example`."""

AgreementFor = Callable[[OutputKind], Agreement]
"""Chooses the agreement for a kind of output."""

LogReader = Callable[[Iterator[bytes]], Iterator[Call]]
"""Reads the lines of one log format."""
