"""Public fakes, so that nothing needs to be mocked: sample calls, and small stand-ins for seams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slimdown.artefact import Artefact
from slimdown.canonical import canonical_json, content_id
from slimdown.seams import Progress
from slimdown.types import Call, Dataset, DevPrediction, JsonObject, Prediction, Trained

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
INTERRUPTIBLE += "from slimdown.cli import main; main()"
"""Runs the command with SIGINT as a terminal has it: a job in the background ignores it."""


def sample_call(
    text: str = "where is my parcel?",
    answer: str | JsonObject = "delivery",
    *,
    system: str = "Name the intent of the message.",
    **fields: Any,
) -> Call:
    """Return a call that asked ``text`` and was answered ``answer`` (an object becomes JSON text).

    ``fields`` are further fields of `Call`; the id is the content's unless given.
    """
    content = answer if isinstance(answer, str) else canonical_json(answer).decode()
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}],
    }
    message = {"role": "assistant", "content": content}
    response = {
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55},
    }
    made: JsonObject = {"request": request, "response": response, **fields}
    return Call(**{"id": content_id(made), **made})


class CopyingSpecialist:
    """Answers what it has seen, word for word, and abstains on all else."""

    def __init__(self, answers: dict[str, Any]) -> None:
        """Take the answer to each known input."""
        self._answers = answers

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        """Return the known answers with confidence 1, the others as abstentions."""
        known = self._answers
        return [
            Prediction(output=known.get(text), confidence=float(text in known)) for text in inputs
        ]


class CopyingRung:
    """A rung that trains in no time: it copies the answers of ``train``."""

    name = "copying"

    def objection(self, dataset: Dataset) -> str | None:
        """Fit any dataset that has an example to copy."""
        return None if dataset.train else "there is no example to copy."

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        """Keep each training input with its answer."""
        answers = {example.input: example.output for example in dataset.train}
        progress(0.5, "copying")
        artefact.write_json("answers", answers)
        inputs = [example.input for example in dataset.dev]
        predictions = CopyingSpecialist(answers).answer(inputs)
        pairs = zip(dataset.dev, predictions, strict=True)
        return Trained(dev=tuple(DevPrediction(e.id, p) for e, p in pairs), facts={"copied": True})

    def load(self, artefact: Artefact) -> CopyingSpecialist:
        """Return a specialist with the answers that `train` kept."""
        return CopyingSpecialist(artefact.read_json("answers"))


def tiny_encoder(folder: Path, *, seed: int = 0, window: int = 64) -> str:
    """Write an untrained BERT that spells words letter by letter; return its source's name.

    Hidden size 32, two layers, lower case only: enough to test what loads, trains and serves one.
    """
    import numpy as np
    from safetensors.numpy import save_file

    draw = np.random.default_rng(seed)
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{c}" for c in letters)]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(pieces), 32),
        "embeddings.position_embeddings.weight": (window, 32),
        "embeddings.token_type_embeddings.weight": (2, 32),
        "embeddings.LayerNorm": (32,),
    }
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        shapes |= {f"{at}.attention.self.{part}": (32, 32) for part in ("query", "key", "value")}
        shapes |= {f"{at}.attention.output.dense": (32, 32), f"{at}.intermediate.dense": (64, 32)}
        shapes |= {f"{at}.output.dense": (32, 64)}
        shapes |= {f"{at}.{part}.LayerNorm": (32,) for part in ("attention.output", "output")}
    tensors: dict[str, Any] = {}
    for name, shape in shapes.items():
        whole = name.endswith(".weight")
        weight = draw.normal(0, 0.2, shape) if len(shape) > 1 else np.ones(shape)
        tensors[name if whole else f"{name}.weight"] = weight.astype(np.float32)
        if not whole:
            tensors[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(_spelling_tokenizer(pieces), "utf-8")
    config = {
        "model_type": "bert",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": window,
    }
    (folder / "config.json").write_bytes(canonical_json(config))
    return str(folder)


def _spelling_tokenizer(pieces: Sequence[str]) -> str:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", pieces.index("[CLS]")), ("[SEP]", pieces.index("[SEP]"))],
    )
    return str(tokenizer.to_str())
