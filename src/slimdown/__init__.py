"""slimdown moves an agent's repetitive LLM calls onto small language models, with proof."""

from __future__ import annotations

__version__ = "0.1.0"
