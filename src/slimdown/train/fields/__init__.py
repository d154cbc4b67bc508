"""The `fields` rung: a small pretrained encoder, fine-tuned, with a head per output field.

Answers are valid by construction, since a field can only state a value seen in training, copy a
span of the input, be absent, or abstain. torch is needed to train, not to serve.
"""

from __future__ import annotations

from slimdown.train.fields.rung import FieldsRung

__all__ = ["FieldsRung"]
