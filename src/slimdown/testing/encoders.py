"""A tiny encoder on disk, untrained: enough to test what loads, trains and serves one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slimdown.canonical import canonical_json


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
