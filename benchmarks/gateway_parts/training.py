"""Workspaces with a certified, live specialist, made by our own commands from recorded calls.

What is left out of the import is what the specialist is asked later: calls that it never saw.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from gateway_parts.contestants import Place, workspace
from gateway_parts.processes import free_port
from record import data_folder
from slimdown.seal import encode_key

N_UNSEEN = 300


@dataclass(frozen=True)
class Recipe:
    """One specialist: the recorded calls it learns from, and the risk that it may be certified at.

    The risk is chosen so that there is something to measure; how much is certified at which risk
    is for benchmarks/offload.py.
    """

    rung: str
    name: str
    files: tuple[str, ...]
    risk: float
    about: str = ""


RECIPES = (
    Recipe(
        "linear",
        "banking77, GPT-4",
        (
            "ocats_banking77/calls_gpt4_test.jsonl.gz",
            "ocats_banking77/calls_gpt4_dev.jsonl.gz",
        ),
        0.1,
    ),
    Recipe("fields", "snips, one intent", ("snips_slots/calls_human.jsonl.gz",), 0.2, "GetWeather"),
)


@dataclass(frozen=True)
class Trained:
    """A workspace whose specialist is live, and calls that it has not seen."""

    recipe: Recipe
    folder: Path
    environ: Mapping[str, str]
    unseen: tuple[dict[str, Any], ...]

    def place(self, upstream_port: int) -> Place:
        """Return where a gateway of this workspace runs."""
        return Place(free_port(), upstream_port, self.folder, self.environ)


def trained(recipe: Recipe, folder: Path) -> Trained:
    """Return the recipe's workspace, made in ``folder`` unless it is there already."""
    folder = folder / recipe.rung
    seen, unseen = split(recipe)
    log, key, done = folder / "calls.jsonl", folder / "key", folder / "done"
    if not key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(json.dumps(call) + "\n" for call in seen), "utf-8")
        key.write_text(encode_key(os.urandom(32)), "utf-8")
    environ = {"SLIMDOWN_KEY": key.read_text("utf-8"), "SLIMDOWN_RISK": str(recipe.risk)}
    made = Trained(recipe, folder, environ, tuple(call["request"] for call in unseen))
    if not done.exists():
        slimdown(made, "import", str(log))
        slimdown(made, "run", "--rungs", recipe.rung)
        for task in tasks(made):
            slimdown(made, "promote", task, "--stage", "live", "--reason", "benchmark")
        done.touch()
    return made


def split(recipe: Recipe) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the recipe's calls in a fixed random order: those to learn from, and the unseen."""
    calls = []
    for file in recipe.files:
        with gzip.open(data_folder() / file) as lines:
            calls += [json.loads(line) for line in lines]
    calls = [call for call in calls if recipe.about in call["metadata"]["task"]]
    Random(0).shuffle(calls)
    return calls[N_UNSEEN:], calls[:N_UNSEEN]


def tasks(made: Trained) -> list[str]:
    """Return the ids of the tasks with a certified specialist."""
    report = json.loads(slimdown(made, "report", "--json"))
    return [found["task"]["id"] for found in report["tasks"] if found["served_by"]]


def slimdown(made: Trained, *arguments: str) -> str:
    """Run one of our commands on a workspace and return what it printed."""
    place = made.place(0)
    command = [sys.executable, "-m", "slimdown", *arguments, *workspace(place)]
    environ = {**os.environ, **made.environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"slimdown {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout
