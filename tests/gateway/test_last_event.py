"""The last event of a stream waits until it is whole and its call recorded."""

import json
from pathlib import Path

import pytest
from gateways import running_gateway

from slimdown.gateway.ending import Ending
from slimdown.testing import ScriptedUpstream, sse

COMPLETED = {
    "type": "response.completed",
    "response": {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-4o-mini",
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "here"}],
            }
        ],
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
    },
}


def test_a_last_event_in_several_pieces_is_recorded_whole(tmp_path: Path) -> None:
    event = f"event: response.completed\ndata: {json.dumps(COMPLETED)}\n\n".encode()
    pieces = [event[:30], event[30:90], event[90:]]

    with (
        ScriptedUpstream(sse(pieces, gap_s=0.02)) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        asked = {"model": "gpt-4o-mini", "input": "where?", "stream": True}
        response = gateway.post("/v1/responses", json=asked)
        (call,) = gateway.calls()

    assert response.content.startswith(event)
    assert call.error is None
    assert call.response is not None
    assert call.response["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_last_event_is_reached_at_its_blank_line(end: bytes) -> None:
    ending = Ending()

    begun = ending.begins_in(b"data: [DONE]")
    before = ending.is_reached
    ending.begins_in(end)

    assert (begun, before, ending.is_reached) == (True, False, True)


@pytest.mark.parametrize("at", range(1, 12))
def test_a_last_event_is_found_whatever_pieces_it_comes_in(at: int) -> None:
    ending, event = Ending(), b"data: [DONE]\n\n"

    ending.begins_in(b'data: {"a": 1}\n\n' + event[:at])
    ending.begins_in(event[at:])

    assert ending.is_reached


def test_words_of_an_answer_are_no_end() -> None:
    ending = Ending()

    ending.begins_in(b'data: {"content": "data: [DONE]\\n\\n"}\n\n')

    assert not ending.has_begun
