"""Import rate from file to durable store, and bytes per call against plain and gzip JSONL.

Each set is imported into a new workspace on a local disk, the whole way: decompress, parse,
normalise, hash, compress, encrypt, commit. Sizes are the database file's after compaction.
Run: python benchmarks/store.py
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from record import data_folder, write_result
from slimdown.capture import Reject, read_logs
from slimdown.seal import encode_key
from slimdown.store import Store

SETS = {
    "tau-bench airline, agent": ["tau_bench_airline/calls_agent.jsonl.gz"],
    "tau-bench airline, user": ["tau_bench_airline/calls_user_sim.jsonl.gz"],
    "tau-bench airline, both": [
        "tau_bench_airline/calls_agent.jsonl.gz",
        "tau_bench_airline/calls_user_sim.jsonl.gz",
    ],
    "genegpt": ["genegpt_codex/calls_001001.jsonl.gz", "genegpt_codex/calls_111111.jsonl.gz"],
    "text2cypher": ["text2cypher/calls_gpt4turbo.jsonl.gz"],
    "banking77, GPT-4": ["ocats_banking77/calls_gpt4_test.jsonl.gz"],
    "clinc150": ["clinc150/calls_human.jsonl.gz"],
    "snips": ["snips_slots/calls_human.jsonl.gz"],
    "vcr chat": ["vcr_cassettes/calls_chat_completions.jsonl.gz"],
}
KEY = {"SLIMDOWN_KEY": encode_key(bytes(range(32)))}
REPEATS = 3


def measure(name: str, files: list[Path]) -> dict[str, Any]:
    """Return one row: the best rate of several imports, and the sizes."""
    plain = b"".join(gzip.decompress(file.read_bytes()) for file in files)
    seconds, cpu_seconds = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder), KEY) as store:
            rejects: list[Reject] = []
            start, cpu_start = time.perf_counter(), time.process_time()
            added = store.add(read_logs(files, rejects=rejects.append))
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
            read_start = time.perf_counter()
            n_read = sum(1 for _ in store.calls())
            read_seconds = time.perf_counter() - read_start
            store.compact()
            size = (Path(folder) / "slimdown.db").stat().st_size
    assert n_read == added.n_new
    assert not rejects
    return {
        "set": name,
        "n_calls": added.n_new,
        "imported_per_s": round(added.n_new / min(seconds)),
        "imported_per_cpu_s": round(added.n_new / min(cpu_seconds)),
        "imported_mb_per_s": round(len(plain) / min(seconds) / 1e6, 1),
        "read_per_s": round(n_read / read_seconds),
        "plain_bytes_per_call": round(len(plain) / added.n_new),
        "store_bytes_per_call": round(size / added.n_new),
        "gzip_bytes_per_call": round(len(gzip.compress(plain)) / added.n_new),
        "store_share_of_plain": round(size / len(plain), 3),
    }


def main() -> None:
    """Measure every set, print a table, and write ``store.json``."""
    data = data_folder()
    rows = []
    for name, files in SETS.items():
        row = measure(name, [data / file for file in files])
        rows.append(row)
        if len(rows) == 1:
            print(" | ".join(row))
        print(" | ".join(str(value) for value in row.values()), flush=True)
    extra = {
        "repeats": REPEATS,
        "rate": "best of the repeats, per second of wall clock and per second of processor time",
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }
    path = write_result("store", rows, extra)
    print(json.dumps({"written": path.name}))


if __name__ == "__main__":
    main()
