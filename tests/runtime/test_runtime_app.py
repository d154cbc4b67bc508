"""The runtime's interface: who may answer, what is refused, and in which words."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from small_workspace import PARCELS, Client, Workshop, asking, running

TASK = "Name the intent."


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "w")


@pytest.fixture
def parcels(workshop: Workshop) -> str:
    specialist_id = workshop.train(TASK, PARCELS)
    workshop.route(specialist_id)
    return specialist_id


@pytest.fixture
def client(workshop: Workshop, parcels: str) -> Iterator[Client]:
    assert parcels
    with running(workshop, max_body_bytes=10_000) as client:
        yield client


def test_an_offered_specialist_answers_a_request_of_its_task(client: Client, parcels: str) -> None:
    status, body = client.ask(asking(TASK, "where is it?"), parcels)

    assert status == 200
    assert body["object"] == "chat.completion"
    assert body["model"] == parcels
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "delivery"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["slimdown"] == {
        "task": f"id-of-{TASK}",
        "specialist": parcels,
        "score": 1.0,
        "confidence": 1.0,
    }


def test_without_an_offer_the_model_names_the_specialist(client: Client, parcels: str) -> None:
    request = asking(TASK, "i want my money") | {"model": parcels}

    status, body = client.ask(request)

    assert status == 200
    assert body["choices"][0]["message"]["content"] == "refund"


def test_a_stream_is_answered_as_plain_json(client: Client, parcels: str) -> None:
    status, body = client.ask(asking(TASK, "hello", stream=True), parcels)

    assert (status, body["object"]) == (200, "chat.completion")


def test_a_request_of_another_task_is_refused(client: Client, parcels: str) -> None:
    assert client.code(asking("Write a poem.", "hello"), parcels) == (409, "not_this_task")


def test_a_request_that_is_too_long_is_refused(client: Client, parcels: str) -> None:
    assert client.code(asking(TASK, "hello" * 9), parcels) == (422, "too_long")


def test_a_specialist_may_abstain(client: Client, parcels: str) -> None:
    assert client.code(asking(TASK, "good day"), parcels) == (422, "abstained")


def test_an_unknown_specialist_is_loading_until_it_was_looked_for(client: Client) -> None:
    request = asking(TASK, "hello")

    client.wait_for(lambda: client.code(request, "nobody") != (503, "loading"))

    assert client.code(request, "nobody") == (404, "unknown_specialist")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "invalid_json")),
        (b"[]", (400, "invalid_json")),
        (b"\xff", (400, "invalid_json")),
        (b"[" * 5_000, (400, "invalid_json")),
        (b"{}", (400, "no_specialist")),
        (b'{"model": 3}', (400, "no_specialist")),
        (b" " * 10_001, (413, "body_too_large")),
    ],
    ids=["cut", "array", "no text", "deep", "empty", "no name", "large"],
)
def test_what_is_no_request_is_refused(
    client: Client, body: bytes, expected: tuple[int, str]
) -> None:
    status, told = client.send("POST", "/v1/chat/completions", body, {})

    assert (status, told["error"]["code"]) == expected


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": None},
        {"messages": [3, {"role": 4, "content": {"a": 1}}]},
        {"messages": [], "tools": [[]], "response_format": "json"},
    ],
    ids=["null", "numbers", "lists"],
)
def test_a_request_of_no_shape_belongs_to_no_task(
    client: Client, parcels: str, request_: dict[str, object]
) -> None:
    assert client.code(request_, parcels) == (409, "not_this_task")


def test_other_paths_and_methods_are_refused(client: Client) -> None:
    assert client.get("/v1/embeddings")[0] == 404
    assert client.get("/v1/chat/completions")[0] == 405
    assert client.send("POST", "/v1/models", b"", {})[0] == 405


def test_the_loaded_specialists_are_listed_as_models(client: Client, parcels: str) -> None:
    status, body = client.get("/v1/models")

    assert status == 200
    assert [model["id"] for model in body["data"]] == [parcels]


def test_pages_of_browsers_may_not_ask(client: Client) -> None:
    assert client.get("/v1/models", origin="http://evil.example")[0] == 403
    assert client.get("/v1/models", host="evil.example")[0] == 403
    assert client.get("/v1/models", host="localhost:1")[0] == 200


def test_an_error_quotes_no_request(client: Client, parcels: str) -> None:
    _, body = client.ask(asking(TASK, "marker-4711"), parcels)

    assert b"marker-4711" not in msgspec.json.encode(body)


def test_metrics_count_answers_and_refusals_by_code(client: Client, parcels: str) -> None:
    client.ask(asking(TASK, "hello"), parcels)
    client.ask(asking(TASK, "good day"), parcels)

    text = client.text("/metrics")

    assert "slimdown_runtime_answered_total 1\n" in text
    assert 'slimdown_runtime_refused_total{code="abstained"} 1\n' in text
    assert "slimdown_runtime_loaded 1\n" in text
