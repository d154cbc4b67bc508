"""Asks a base URL by means of `litellm`, in a process of its own: its pools outlive its loops.

Its last line is one JSON object: what it heard, by session. The library may print above it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

# Before the import, which would else look prices up on the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


def heard(base_url: str) -> dict[str, Any]:
    """Return what each question was answered with."""
    import litellm
    import openai

    def asking(session: str, text: str, **fields: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": text}]
        there = {"api_base": base_url, "api_key": "none", "num_retries": 0, "max_retries": 0}
        headers = {"x-slimdown-session": session}
        model = {"model": "openai/gpt-4o-mini", "messages": messages}
        return {**model, **there, "extra_headers": headers, **fields}

    plain = litellm.completion(**asking("plain", "where?"))
    stream = litellm.completion(**asking("stream", "where?", stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    awaited = asyncio.run(litellm.acompletion(**asking("async", "where?")))
    try:
        litellm.completion(**asking("miss", "never asked"))
        miss = ""
    except openai.APIStatusError as error:  # the base of its own
        miss = error.message
    return {
        "plain": plain.choices[0].message.content,
        "plain tokens": plain.usage.total_tokens,
        "stream": "".join(pieces),
        "async": awaited.choices[0].message.content,
        "miss": miss,
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(heard(sys.argv[1])))
