"""How well are an agent's operations found in its traffic, with the call sites hidden?

All development logs are interleaved as one agent's traffic and scored against the true call
sites: as they are, and with every system prompt replaced by one generic sentence. The baseline
embeds the request's text (MiniLM, its first pieces) and clusters it by density; it is given the
first 1,500 calls, since embedding whole requests is slow and density clustering quadratic. The
rows that embed with MiniLM use the first 8,000 calls.

Run: python benchmarks/discover.py [--no-baseline]
"""

from __future__ import annotations

import gzip
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score, v_measure_score

from record import data_folder, write_result
from slimdown.answer import answer_of
from slimdown.cluster import Clustering, find_tasks
from slimdown.cluster.cached import CachedEmbedder
from slimdown.cluster.hashing import HashingEmbedder
from slimdown.cluster.shapes import action_names, outlines
from slimdown.encoder import load_encoder
from slimdown.route import Assigner
from slimdown.seams import Embedder
from slimdown.signature import content_slice, distances, messages_of, spoken_text
from slimdown.types import Call, Template

SITES = (
    "ocats_banking77/calls_gpt4_test",
    "ocats_banking77/calls_gpt4_dev",
    "extractgpt_ae110k/calls_gpt4_schema10shot_tr100",
    "text2cypher/calls_gpt4turbo",
    "tau_bench_airline/calls_agent",
    "tau_bench_airline/calls_user_sim",
    "restaurant8k_slots/calls_human",
    "azure_rag_runs/calls_baseline",
    "genegpt_codex/calls_001001",
)
AGENT = "tau_bench_airline/calls_agent"
NOISE = {
    "bfcl, native tools": "bfcl_2024_08/calls_gpt-4o-2024-08-06-FC",
    "bfcl, tools in the prompt": "bfcl_2024_08/calls_gpt-4o-2024-08-06",
    "cassettes": "vcr_cassettes/calls_chat_completions",
}
UNKNOWN = ("clinc150/calls_human", "snips_slots/calls_human")
GENERIC = {"role": "system", "content": "You are a helpful assistant."}
SAMPLE, FEWER, TINY = 1_500, 8_000, 30
AS_IT_IS, HARD = "as it is", "generic system prompt"
BARE = "generic system prompt, no tools or contract"


def main() -> None:
    calls = stream(SITES)
    rows = []
    for row in measured(calls, baseline_too="--no-baseline" not in sys.argv):
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        rows.append(row)
    counts = Counter(site(call) for call in calls)
    print("written:", write_result("discover", rows, {"sites": dict(counts)}))


def measured(calls: list[Call], *, baseline_too: bool) -> Iterator[dict[str, Any]]:
    hashing, encoder = HashingEmbedder(), load_encoder(precision="int8", threads=1)
    minilm = CachedEmbedder(encoder)
    hardened = [generic(call) for call in calls]
    yield from ours(AS_IT_IS, "hashing", calls, hashing)
    yield from ours(HARD, "hashing", hardened, hashing)
    yield next(ours(BARE, "hashing", [plain(call) for call in hardened], hashing))
    for name, file in NOISE.items():
        yield no_task_here(name, file, calls, hashing)
    yield agent_by_action(hashing)
    yield from unknown_requests("hashing", hardened[:FEWER], hashing)
    if baseline_too:
        yield baseline(AS_IT_IS, calls, encoder)
        yield baseline(HARD, hardened, encoder)
    yield from ours(HARD, "MiniLM", hardened[:FEWER], minilm)
    yield from unknown_requests("MiniLM", hardened[:FEWER], minilm)


def ours(form: str, name: str, calls: list[Call], embedder: Embedder) -> Iterator[dict[str, Any]]:
    cold = time.perf_counter()
    find_tasks(calls, embedder=embedder)
    warm = time.perf_counter()
    found = find_tasks(calls, embedder=embedder)
    seconds, cold_seconds = time.perf_counter() - warm, warm - cold
    row = {"form": form, "method": f"slimdown, {name}", **scores(calls, labels(calls, found))}
    yield {
        **row,
        "n_tasks": len(found.tasks),
        "unassigned": round(1 - found.coverage, 4),
        "calls_per_s": round(len(calls) / seconds),
        "calls_per_s_nothing_cached": round(len(calls) / cold_seconds),
    }
    sample = calls[:SAMPLE]
    on_sample = scores(sample, labels(sample, found))
    yield {"form": form, "method": f"slimdown, {name}, the baseline's sample", **on_sample}
    yield online(form, name, calls, embedder)


def online(form: str, name: str, calls: list[Call], embedder: Embedder) -> dict[str, Any]:
    """Fit on the older half, assign the newer half by its requests alone."""
    middle = len(calls) // 2
    older, newer = calls[:middle], calls[middle:]
    found = find_tasks(older, embedder=embedder)
    owner = owners(older, found)
    started = time.perf_counter()
    assigned = Assigner(found.tasks, embedder).assign([call.request for call in newer])
    seconds = time.perf_counter() - started
    right = sum(owner.get(a or "") == site(c) for a, c in zip(assigned, newer, strict=True))
    none = sum(a is None for a in assigned)
    return {
        "form": form,
        "method": f"slimdown, {name}, online: newer half by request",
        **scores(newer, [a or "none" for a in assigned]),
        "right_site": round(right / len(newer), 4),
        "unassigned": round(none / len(newer), 4),
        "calls_per_s": round(len(newer) / seconds),
    }


def baseline(form: str, calls: list[Call], embedder: Embedder) -> dict[str, Any]:
    sample = calls[:SAMPLE]
    started = time.perf_counter()
    vectors = embedder.embed([whole_text(call) for call in sample])
    found = HDBSCAN(min_cluster_size=10, copy=True).fit_predict(vectors)
    seconds = time.perf_counter() - started
    return {
        "form": form,
        "method": "MiniLM + HDBSCAN on the sample",
        **scores(sample, [str(label) for label in found]),
        "n_tasks": len(set(found.tolist()) - {-1}),
        "unassigned": round(float((found == -1).mean()), 4),
        "calls_per_s": round(len(sample) / seconds),
    }


def no_task_here(name: str, file: str, calls: list[Call], embedder: Embedder) -> dict[str, Any]:
    """Mix a set that holds no narrow task into the traffic: how much of it is left alone?"""
    noise = list(read(file))
    found = find_tasks([*calls, *noise], embedder=embedder)
    sizes = Counter(found.members[c.id] for c in noise if c.id in found.members)
    tiny = sum(n for n in sizes.values() if n < TINY)
    return {
        "form": "no task here",
        "method": name,
        "n_calls": len(noise),
        "left": round(1 - sizes.total() / len(noise), 4),
        f"in_tasks_below_{TINY}": round(tiny / len(noise), 4),
        "n_tasks": len(sizes),
        "largest": max(sizes.values(), default=0),
        "v_of_the_sites_beside_it": scores(calls, labels(calls, found))["v"],
    }


def agent_by_action(embedder: Embedder) -> dict[str, Any]:
    """Does an agent loop divide by the action taken? Tasks found, and what a forced split gives."""
    calls = list(read(AGENT))
    answers = [answer for call in calls if (answer := answer_of(call)) is not None]
    truth = [action_names(a)[0] if a.kind == "tool" else "reply" for a in answers]
    found = labels(calls, find_tasks(calls, embedder=embedder))
    guessed, actions = forced(calls, outlines(answers), embedder)
    right = [g == a for g, a in zip(guessed, actions, strict=True)]
    return {
        "form": "tau agent by action",
        "method": "slimdown, hashing",
        "n_calls": len(calls),
        "n_tasks": len(set(found)),
        "v": round(v_measure_score(truth, found), 4),
        "v_if_forced": round(v_measure_score(truth[-len(guessed) :], guessed), 4),
        "right_if_forced": round(sum(right) / len(right), 4),
    }


def forced(
    calls: Sequence[Call], actions: Sequence[str], embedder: Embedder
) -> tuple[list[str], Sequence[str]]:
    """Guess the newer half's actions by the nearest mean of the older half; return both."""
    vectors = embedder.embed([content_slice(Template(()), call.request) for call in calls])
    middle = len(calls) // 2
    names = sorted(n for n, many in Counter(actions[:middle]).items() if many >= TINY)
    rows = [[i for i in range(middle) if actions[i] == name] for name in names]
    means = np.array([vectors[own].mean(axis=0) for own in rows])
    nearest = distances(vectors[middle:], means).argmin(axis=1)
    return [names[i] for i in nearest], actions[middle:]


def unknown_requests(name: str, calls: list[Call], embedder: Embedder) -> Iterator[dict[str, Any]]:
    """Under one generic prompt, how many requests of a kind never seen are taken for known?"""
    tasks = find_tasks(calls, embedder=embedder).tasks
    assigner = Assigner(tasks, embedder)
    for file in UNKNOWN:
        requests = [plain(generic(call)).request for call in list(read(file))[::20]]
        taken = sum(a is not None for a in assigner.assign(requests))
        yield {
            "form": "unknown requests, generic system prompt",
            "method": f"slimdown, {name}, {file.split('/')[0]}",
            "n_calls": len(requests),
            "taken_for_known": round(taken / len(requests), 4),
        }


def stream(files: Sequence[str]) -> list[Call]:
    """Interleave call sites at random, each in its own order; banking is shuffled."""
    chance = random.Random(0)
    by_site: dict[str, list[Call]] = {}
    for file in files:
        for call in read(file):
            by_site.setdefault(site(call), []).append(call)
    chance.shuffle(by_site["banking77-intent"])
    timed = [
        (moment, name, place)
        for name, own in sorted(by_site.items())
        for place, moment in enumerate(sorted(chance.random() for _ in own))
    ]
    return [by_site[name][place] for _, name, place in sorted(timed)]


def read(file: str) -> Iterator[Call]:
    with gzip.open(data_folder() / f"{file}.jsonl.gz", "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Call)


def site(call: Call) -> str:
    return str(call.metadata["task"])


def generic(call: Call) -> Call:
    messages = messages_of(call.request)
    said = messages[1:] if messages and messages[0].get("role") == "system" else messages
    return msgspec.structs.replace(call, request={**call.request, "messages": [GENERIC, *said]})


def plain(call: Call) -> Call:
    request = {k: v for k, v in call.request.items() if k not in ("tools", "response_format")}
    return msgspec.structs.replace(call, request=request)


def whole_text(call: Call) -> str:
    return "\n".join(spoken_text(message) for message in messages_of(call.request))


def labels(calls: Sequence[Call], found: Clustering) -> list[str]:
    return [found.members.get(call.id, "left") for call in calls]


def owners(calls: Sequence[Call], found: Clustering) -> dict[str, str]:
    """Return the true site that most calls of each task come from."""
    sites: dict[str, Counter[str]] = {}
    for call in calls:
        sites.setdefault(found.members.get(call.id, "left"), Counter())[site(call)] += 1
    return {task: counts.most_common(1)[0][0] for task, counts in sites.items() if task != "left"}


def scores(calls: Sequence[Call], found: Sequence[str]) -> dict[str, Any]:
    truth = [site(call) for call in calls]
    measures: dict[str, Callable[..., float]] = {"v": v_measure_score, "ari": adjusted_rand_score}
    return {
        "n_calls": len(calls),
        **{name: round(float(score(truth, found)), 4) for name, score in measures.items()},
    }


if __name__ == "__main__":
    main()
