"""The unmodified `litellm` library hears through the gateway what it would hear without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from recorded_calls import WORDS, Row, replaying, row_of, said

CALLER = Path(__file__).with_name("litellm_caller.py")


def heard_from(base_url: str) -> Any:
    """Return what the library heard, by session."""
    command = [sys.executable, str(CALLER), base_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


# One test, since the library alone takes seconds to be imported.
def test_plain_streamed_awaited_and_failed_calls_are_heard_and_recorded(tmp_path: Path) -> None:
    with replaying(tmp_path, said("where?")) as replayed:
        heard = heard_from(replayed.base_url)
        rows = {call.session_id: row_of(call) for call in replayed.gateway.calls()}

    assert (heard["plain"], heard["stream"], heard["async"]) == (WORDS, WORDS, WORDS)
    assert heard["plain tokens"] == 55
    assert "none of the 1 recorded calls asked this" in heard["miss"]
    assert rows["plain"] == rows["async"] == Row("chat", False, None, WORDS, 55)
    assert (rows["stream"].stream, rows["stream"].error, rows["stream"].said) == (True, None, WORDS)
    assert (rows["miss"].error or "").startswith("upstream_status_404")
    assert len(rows) == 4
