"""The live part of ``slimdown demo --live``: an agent, its LLM replayed, and specialists between.

Everything in it is made up for the demo, latencies too: the replayed LLM waits as long as the log
says that it took.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import msgspec

from slimdown.cli import children
from slimdown.cli.live_figures import AgentAnswer, LiveReport, live_report, routing_reasons
from slimdown.cli.options import FLAG_UPSTREAM
from slimdown.cli.output import print_table, say
from slimdown.cli.promote import author
from slimdown.errors import MissingExtra, SlimdownError
from slimdown.ledger import load_prices
from slimdown.report.model import Report
from slimdown.settings import Settings, UpstreamSettings
from slimdown.types import Call

SPEED = 1.0
"""How many times faster than its recorded latency the replayed LLM answers."""

_HOST = "127.0.0.1"
_PAGE_TIMEOUT_S = 10


def check_openai() -> None:
    """Raise `MissingExtra` unless the agent's client is installed."""
    if find_spec("openai") is None:
        raise MissingExtra(
            "the demo's agent uses the `openai` package, which is not installed. Nothing was "
            "started. Install it: pip install 'slimdown[demo]'."
        )


def run_live(settings: Settings, report: Report, logs: Sequence[Path]) -> LiveReport | None:
    """Promote what is certified, run the agent twice, and return what came of it.

    ``logs`` are those that the replayed LLM knows; the last one holds the calls that the agent
    makes anew. None where nothing was certified.
    """
    if not _promoted(settings, report):
        return None
    folder = Path(settings.workspace).parent
    calls = list(_calls(logs[-1]))
    requests = _write_requests(folder, calls)
    ports = [children.free_port(_HOST, 0) for _ in range(2)]
    upstream = f"http://{_HOST}:{ports[0]}/v1"
    settings = msgspec.structs.replace(
        settings, upstreams={FLAG_UPSTREAM: UpstreamSettings(url=upstream)}
    )
    wanted = [
        children.replay(logs, ports[0], SPEED),
        children.gateway(settings, (_HOST, ports[1])),
        children.runtime(Path(settings.workspace)),
    ]
    with children.kept_running(wanted):
        direct = _agent(requests, folder / "answers-direct.jsonl", upstream)
        gateway = f"http://{_HOST}:{ports[1]}/v1"
        through = _agent(requests, folder / "answers-through.jsonl", gateway)
        reasons = routing_reasons(_page(f"http://{_HOST}:{ports[1]}/metrics"))
    found = live_report(calls, direct, through, report, load_prices(settings.prices))
    return msgspec.structs.replace(found, reasons=reasons)


def print_live(found: LiveReport, workspace: str) -> None:
    """Print the figures for people, and that they are a demo's."""
    print_table(
        ["task", "calls", "by a specialist", "agreed with the LLM"],
        [
            [
                task.name,
                f"{task.n_calls:,}",
                f"{task.n_served:,}",
                f"{task.n_agreed:,} of {task.n_compared:,}" if task.n_served else "-",
            ]
            for task in found.tasks
        ],
        right={"calls", "by a specialist", "agreed with the LLM"},
    )
    n_compared = sum(task.n_compared for task in found.tasks)
    n_agreed = sum(task.n_agreed for task in found.tasks)
    say()
    say(
        f"Specialists answered {found.served_share:.1%} of {found.n_calls:,} calls. Of "
        f"{n_compared:,} where the LLM had given a whole answer, {n_agreed:,} agree with it."
    )
    told = ", ".join(f"{reason} {count:,}" for reason, count in found.reasons.items())
    say(f"What the gateway decided: {told}.")
    if found.reasons.get("runtime_unavailable"):
        say("runtime_unavailable: no answer in time, as on a busy machine; the LLM is asked.")
    for name, latency in (
        ("Straight to the LLM", found.direct),
        ("Through the gateway", found.through),
        ("  by a specialist", found.by_specialist),
    ):
        if latency.n:
            say(f"{name:20} p50 {latency.p50_ms:7,.1f} ms, p95 {latency.p95_ms:7,.1f} ms")
    say(f"The bill for these calls: ${found.usd_before:.4f} before, ${found.usd_after:.4f} after.")
    say(
        "The LLM is a replay of a made-up log, at the made-up latencies of its calls "
        f"(times {1 / SPEED:g}); so neither its speed nor the bill is evidence."
    )
    say(f"Look at the calls: `slimdown calls -w {workspace}`, `slimdown routes -w {workspace}`.")


def _promoted(settings: Settings, report: Report) -> bool:
    """Make every certified task's specialist live; tell whether there was one."""
    from slimdown.workspace import Workspace

    certified = [each.task.id for each in report.tasks if each.certificate]
    with Workspace.open(settings, role="short") as workspace:
        for task_id in certified:
            workspace.promote(task_id, "live", reason="slimdown demo --live", author=author())
    return bool(certified)


def _agent(requests: Path, answers: Path, base_url: str) -> list[AgentAnswer]:
    """Run the agent as it is; only the environment tells it where its LLM is."""
    environ = os.environ | {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "none-is-needed",
        "NO_PROXY": _HOST,
    }
    with as_file(files("slimdown.demo") / "agent.py") as script:
        argv = [sys.executable, str(script), str(requests), str(answers)]
        done = subprocess.run(argv, env=environ, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        cause = done.stderr.strip().rpartition("\n")[2]
        raise SlimdownError(
            f"the demo's agent failed: {cause}. The workspace, its specialists and routes are "
            "kept; the same command tries again."
        )
    lines = answers.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=AgentAnswer) for line in lines]


def _page(url: str) -> str:
    """Return a page of this machine, past any proxy."""
    with build_opener(ProxyHandler({})).open(url, timeout=_PAGE_TIMEOUT_S) as page:
        text: str = page.read().decode()
    return text


def _calls(log: Path) -> Iterator[Call]:
    with log.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=Call)


def _write_requests(folder: Path, calls: Sequence[Call]) -> Path:
    from slimdown.demo.log import agent_requests

    path = folder / "agent-requests.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in agent_requests(calls)))
    return path
