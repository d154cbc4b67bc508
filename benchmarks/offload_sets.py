"""The recorded sets that benchmarks/offload.py measures, each as datasets ready to train on.

A set with a published test split keeps it as the pool. The others are shuffled (their logs are
sorted by answer or carry no time) and split several times. An example's input is the variable part
of the prompt, found by the same template mining that a user's log goes through.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from record import data_folder
from slimdown.answer import answer_of, output_of
from slimdown.capture import read_logs
from slimdown.cluster import find_tasks
from slimdown.curate.splits import SHARES
from slimdown.evaluate.agreement import agreement_for
from slimdown.signature import specialist_input
from slimdown.types import Call, Dataset, Example, OutputKind, Prediction

UNSEEN_SHARE = 0.15
"""Of a set without a test split, this much stays unseen; the tool's own split has the rest."""

POOL_SHARE = UNSEEN_SHARE + (1 - UNSEEN_SHARE) * SHARES[2]
"""What is not trained on: the unseen part, and calibration as the tool cuts it."""

N_SPLITS = 4
"""How often such a set is split and the quick rung trained anew, unless it says otherwise."""

MOST_DEV = 1_000
"""Dev examples of a set with a test split: of many calls a tenth is evidence enough."""


@dataclass(frozen=True)
class Split:
    """A dataset whose calibration split is the whole pool; each resplit takes its share of it."""

    dataset: Dataset
    in_scope: Callable[[Example], bool] | None = None
    calibration_share: float = 0.5

    def extras(self, predictions: Sequence[Prediction]) -> dict[str, float]:
        """Return agreement inside the scope, where the set has calls outside it."""
        if self.in_scope is None:
            return {}
        agree = agreement_for(self.dataset.kind)
        pairs = list(zip(predictions, self.dataset.calibration, strict=True))
        inside = [agree(p.output, e.output) for p, e in pairs if self.in_scope(e)]
        return {"agreement_in_scope": sum(inside) / len(inside)}


@dataclass(frozen=True)
class LogSet:
    """One recorded set: where it lies, who answered, and how it is to be split."""

    name: str
    upstream: str
    files: tuple[str, ...]
    test: Callable[[Call], bool] | None = None
    n_train: int | None = None
    input_of: Callable[[Call], str] | None = None
    in_scope: Callable[[Example], bool] | None = None
    group: Callable[[Call], str] = field(default=lambda call: call.id)
    human: bool = False
    tracer: bool = False
    n_splits: int = N_SPLITS

    @property
    def key(self) -> str:
        """Names the set and who answered it."""
        return f"{self.name} ({self.upstream})"

    def splits(self) -> list[Split]:
        """Return the set's datasets: one where it has a test split, else several."""
        if self.human:
            return [self._human()]
        kind, pairs = self._examples()
        if self.test is not None:
            train = [e for c, e in pairs if not self.test(c)]
            pool = [e for c, e in pairs if self.test(c)]
            return [self._split(kind, self._some(train), pool)]
        return [self._shuffled(kind, [e for _, e in pairs], seed) for seed in range(self.n_splits)]

    def _examples(self) -> tuple[OutputKind, list[tuple[Call, Example]]]:
        calls = [c for c in read_logs([data_folder() / f for f in self.files]) if answer_of(c)]
        tasks = find_tasks(calls, embedder=None).tasks
        if not tasks:  # each prompt is another: as a whole these are free text
            return "text", [(c, self._example("text", c, last_message(c))) for c in calls]
        task = max(tasks, key=lambda t: t.n_calls)
        input_of = self.input_of or (lambda call: specialist_input(task, call.request))
        return task.kind, [(c, self._example(task.kind, c, input_of(c))) for c in calls]

    def _example(self, kind: OutputKind, call: Call, text: str) -> Example:
        answer = answer_of(call)
        assert answer is not None
        return Example(
            id=call.id,
            input=text,
            output=output_of(kind, answer),
            session=self.group(call),
            group=self.group(call),
            label=call.label,
        )

    def _human(self) -> Split:
        """Return Banking77 as people labelled it: its training texts, and the recorded test."""
        with gzip.open(data_folder() / BANKING / "human_train.jsonl.gz") as lines:
            rows = [json.loads(line) for line in lines]
        tests = list(read_logs([data_folder() / f for f in self.files]))
        dev = list(read_logs([data_folder() / BANKING / "calls_gpt4_dev.jsonl.gz"]))
        rows += [{"text": last_message(c), "label": c.label} for c in dev]
        train = [labelled(f"train-{i}", r["text"], r["label"]) for i, r in enumerate(rows)]
        Random(0).shuffle(train)
        pool = [labelled(c.id, last_message(c), c.label) for c in tests]
        return self._split("label", train, pool)

    def _some(self, train: list[Example]) -> list[Example]:
        Random(0).shuffle(train)
        return train[: self.n_train]

    def _shuffled(self, kind: OutputKind, examples: list[Example], seed: int) -> Split:
        groups = sorted({e.group for e in examples})
        Random(seed).shuffle(groups)
        held = set(groups[: round(len(groups) * POOL_SHARE)])
        train = [e for e in examples if e.group not in held]
        Random(seed).shuffle(train)
        pool = [e for e in examples if e.group in held]
        share = 1 - UNSEEN_SHARE / POOL_SHARE
        return replace(self._split(kind, train, pool), calibration_share=share)

    def _split(self, kind: OutputKind, train: list[Example], pool: list[Example]) -> Split:
        cut = len(train) - min(round(len(train) * 0.2), MOST_DEV)
        dataset = Dataset(
            task_id=self.name,
            kind=kind,
            train=tuple(train[:cut]),
            dev=tuple(train[cut:]),
            calibration=tuple(pool),
        )
        return Split(dataset, self.in_scope)


def labelled(example_id: str, text: str, label: str) -> Example:
    return Example(id=example_id, input=text, output=label, session="", group=example_id)


def last_message(call: Call) -> str:
    return str(call.request["messages"][-1]["content"])


def system_and_last(call: Call) -> str:
    """Return the system prompt's first sentence and the message: one model for several sites."""
    return f"{call.request['messages'][0]['content'].split('.')[0]}.\n{last_message(call)}"


def is_test(call: Call) -> bool:
    return call.metadata.get("split") in ("test", "validate", "oos_test")


def in_scope(example: Example) -> bool:
    return bool(example.output != "oos")


def attributes_and_title(call: Call) -> str:
    """Return the attributes that were asked for, and the product's title."""
    asked = str(call.request["messages"][-2]["content"])
    return f"{asked.partition('Valid attributes are ')[2].partition('.')[0]}\n{last_message(call)}"


def by(key: str) -> Callable[[Call], str]:
    """Group calls that are near copies of each other by a metadata key."""
    return lambda call: f"{key}={call.metadata.get(key)}"


BANKING = "ocats_banking77"
SETS: tuple[LogSet, ...] = (
    LogSet("banking77", "human labels", (f"{BANKING}/calls_gpt4_test.jsonl.gz",), human=True),
    LogSet("clinc150", "human labels", ("clinc150/calls_human.jsonl.gz",), test=is_test,
           in_scope=in_scope),
    LogSet("snips, 2,000 calls", "human labels", ("snips_slots/calls_human.jsonl.gz",),
           test=is_test, n_train=2_000, input_of=system_and_last),
    LogSet("snips, 13,000 calls", "human labels", ("snips_slots/calls_human.jsonl.gz",),
           test=is_test, n_train=13_000, input_of=system_and_last),
    LogSet("restaurant8k", "human labels", ("restaurant8k_slots/calls_human.jsonl.gz",),
           test=is_test, input_of=last_message),
    LogSet("banking77", "GPT-4", (f"{BANKING}/calls_gpt4_test.jsonl.gz",
                                  f"{BANKING}/calls_gpt4_dev.jsonl.gz"), tracer=True, n_splits=12),
    LogSet("banking77", "GPT-4, other examples", (f"{BANKING}/calls_gpt4_nonrep_test.jsonl.gz",)),
    LogSet("banking77", "GPT-3.5", (f"{BANKING}/calls_gpt35_rep_test.jsonl.gz",)),
    LogSet("extractgpt_ae110k", "GPT-4",
           ("extractgpt_ae110k/calls_gpt4_schema10shot_tr100.jsonl.gz",),
           input_of=attributes_and_title),
    LogSet("extractgpt_ae110k", "GPT-3.5", ("extractgpt_ae110k/calls_gpt35_list.jsonl.gz",),
           input_of=attributes_and_title),
    LogSet("pot_tatqa", "Codex", ("pot_tatqa/calls_codex_direct.jsonl.gz",)),
    LogSet("bfcl", "GPT-4o", ("bfcl_2024_08/calls_gpt-4o-2024-08-06-FC.jsonl.gz",)),
    LogSet("text2cypher", "GPT-4-turbo", ("text2cypher/calls_gpt4turbo.jsonl.gz",)),
    LogSet("tau-bench agent", "gpt-4o", ("tau_bench_airline/calls_agent.jsonl.gz",),
           group=by("task_id")),
    LogSet("tau-bench user", "gpt-4o", ("tau_bench_airline/calls_user_sim.jsonl.gz",),
           group=by("task_id")),
    LogSet("genegpt", "Codex", ("genegpt_codex/calls_001001.jsonl.gz",)),
    LogSet("azure_rag", "Azure GPT", ("azure_rag_runs/calls_baseline.jsonl.gz",)),
    LogSet("gsm8k", "GPT-4-turbo", ("routellm_pairs/calls_gsm8k_strong_gpt4.jsonl.gz",)),
)  # fmt: skip
"""Every recorded or labelled set; the human stands in for the LLM where no LLM answered."""
