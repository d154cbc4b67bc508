"""An agent of `pydantic-ai`, unchanged, runs through the gateway: turns, tools, typed answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import openai
import pydantic
from gateways import running_gateway
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from slimdown.testing import ScriptedUpstream, Seen, answer, completion, completion_chunks, sse
from slimdown.types import Call

CALLED = ("weather", '{"city":"Rom"}')
ASKED = "How is the weather in Rom?"
TOLD = "It is sunny in Rom."


class Forecast(pydantic.BaseModel):
    city: str
    days: int


class Ran(msgspec.Struct, frozen=True):
    """What came of a conversation: its outputs, what the upstream saw, and what was recorded."""

    outputs: list[Any]
    requests: list[Seen]
    calls: list[Call]


def conversation(folder: Path, turns: list[str], *scripts: Any, **options: Any) -> Ran:
    """Let an agent behind a gateway have its turns, answered by these scripts one by one."""
    with (
        ScriptedUpstream(list(scripts)) as upstream,
        running_gateway(folder, upstream.url) as gateway,
    ):
        outputs = asyncio.run(_converse(gateway.base_url, turns, options))
        return Ran(outputs, upstream.requests, gateway.calls())


async def _converse(base_url: str, turns: list[str], options: dict[str, Any]) -> list[Any]:
    is_streamed = options.pop("is_streamed", False)
    outputs: list[Any] = []
    history: list[Any] = []
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as client:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client))
        agent: Agent[None, Any] = Agent(model, tools=[weather], **options)
        for turn in turns:
            if is_streamed:
                async with agent.run_stream(turn) as stream:
                    pieces = [piece async for piece in stream.stream_text(delta=True)]
                outputs.append("".join(pieces))
            else:
                result = await agent.run(turn, message_history=history)
                outputs.append(result.output)
                history = result.all_messages()
    return outputs


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def said_in(call: Call) -> Any:
    assert call.response is not None
    return call.response["choices"][0]["message"]


def test_a_run_with_a_tool_is_two_calls_of_one_session(tmp_path: Path) -> None:
    scripts = (answer(completion(None, [CALLED])), answer(completion(TOLD)))

    ran = conversation(tmp_path, [ASKED], *scripts)

    first, second = ran.calls
    assert ran.outputs == [TOLD]
    assert ran.requests[1].json["messages"][-1]["content"] == "sunny in Rom"
    assert (first.error, second.error) == (None, None)
    assert first.session_id == second.session_id
    function = said_in(first)["tool_calls"][0]["function"]
    assert (function["name"], function["arguments"]) == CALLED
    assert said_in(second)["content"] == TOLD


def test_a_streamed_run_calls_its_tool_and_streams_its_words(tmp_path: Path) -> None:
    scripts = (
        sse(completion_chunks(None, [CALLED], usage=True)),
        sse(completion_chunks(TOLD, usage=True)),
    )

    ran = conversation(tmp_path, [ASKED], *scripts, is_streamed=True)

    assert ran.outputs == [TOLD]
    assert [call.metadata["gateway"]["stream"] for call in ran.calls] == [True, True]
    assert [call.error for call in ran.calls] == [None, None]
    assert said_in(ran.calls[1])["content"] == TOLD


def test_a_second_turn_of_a_conversation_stays_in_its_session(tmp_path: Path) -> None:
    scripts = (answer(completion("one")), answer(completion("two")))

    ran = conversation(tmp_path, ["hello", "and now?"], *scripts)

    assert ran.outputs == ["one", "two"]
    assert len({call.session_id for call in ran.calls}) == 1
    roles = [message["role"] for message in ran.requests[1].json["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_a_typed_answer_is_checked_and_asked_for_again(tmp_path: Path) -> None:
    wrong = answer(completion(None, [("final_result", '{"city":"Rom"}')]))
    right = answer(completion(None, [("final_result", '{"city":"Rom","days":2}')]))

    ran = conversation(tmp_path, [ASKED], wrong, right, output_type=Forecast)

    assert ran.outputs == [Forecast(city="Rom", days=2)]
    assert [call.error for call in ran.calls] == [None, None]
    assert len({call.session_id for call in ran.calls}) == 1
