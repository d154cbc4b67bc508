"""Which tasks a request may belong to is told by its signature alone."""

import subprocess
import sys

from releases import SYSTEM, request

from slimdown.route import Candidates
from slimdown.signature import tools_id
from slimdown.types import JsonObject, Slot, Task, Template

WIDE = Template((Slot("system", SYSTEM, constant=True),))
NARROW = Template((*WIDE.slots, Slot("user", "Letter: ")))


def task(name: str, template: Template = WIDE) -> Task:
    return Task(id=name, name=name, description="", kind="text", template=template)


def test_all_tasks_of_one_template_are_candidates() -> None:
    index = Candidates([task("a"), task("b"), task("c", NARROW)])

    assert [found.id for found in index.of(request("a card was lost"))] == ["a", "b"]


def test_only_the_most_specific_template_counts() -> None:
    index = Candidates([task("a"), task("c", NARROW)])

    assert [found.id for found in index.of(request("Letter: a card was lost"))] == ["c"]


def test_another_prompt_another_tool_or_no_messages_have_no_candidates() -> None:
    index = Candidates([task("a")])
    others: list[JsonObject] = [
        {"messages": [{"role": "system", "content": "You sort."}]},
        {},
        {"messages": "hi"},
    ]

    found = [index.of(other) for other in (*others, request(tools=[{"type": "function"}]))]

    assert found == [(), (), (), ()]


def test_more_tools_than_anybody_takes_belong_to_no_task() -> None:
    tools = [{"type": "function", "function": {"name": f"f{i}"}} for i in range(1_025)]
    index = Candidates([task("a", Template(WIDE.slots, tools_id({"tools": tools})))])

    assert index.of(request(tools=tools)) == ()


def test_deciding_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'scipy', 'sklearn', 'torch', 'onnxruntime'}"
    code = "import sys, slimdown.gateway.specialists; slimdown.route.make_ready();"
    code += f"print({heavy} & set(sys.modules), 'jsonschema' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "set() True"
