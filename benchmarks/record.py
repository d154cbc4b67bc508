"""Writes a benchmark's result beside it, with what is needed to repeat the measurement.

The machine is described by its processor and core count alone; no name or address is kept.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def write_result(
    name: str, rows: Sequence[Mapping[str, Any]], extra: Mapping[str, Any] | None = None
) -> Path:
    """Write ``benchmarks/<name>.json`` and return its path; ``extra`` adds top-level facts."""
    result = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": machine(),
        "python": platform.python_version(),
        **(extra or {}),
        "rows": list(rows),
    }
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def machine() -> str:
    """Return the processor's model and the number of cores, e.g. "EPYC 7763, 2 cores"."""
    return f"{_processor()}, {os.cpu_count()} cores"


def data_folder() -> Path:
    """Return where the recorded calls are: ``SLIMDOWN_DATA``, else ``../shared/data``."""
    named = os.environ.get("SLIMDOWN_DATA")
    return Path(named) if named else FOLDER.parent.parent / "shared" / "data"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str:
    """Return the commit's short id, with "+" where tracked files differ from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    return f"{commit}+" if commit and _git("status", "--porcelain", "-uno") else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
        )
    except OSError:  # no git: the result is then without its commit
        return ""
    return done.stdout.strip()
