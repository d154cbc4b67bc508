"""The gateway's own pages: alive, ready, and what it has done, without a word of any call."""

from pathlib import Path

from gateways import CHAT, running_gateway
from prometheus_client.parser import text_string_to_metric_families

from slimdown.testing import ScriptedUpstream, answer, completion

MARK = "a-very-secret-word"


def samples(page: str) -> dict[str, float]:
    families = text_string_to_metric_families(page)
    return {
        sample.name
        + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_gateway_says_that_it_is_alive_and_ready(tmp_path: Path) -> None:
    with running_gateway(tmp_path, "http://127.0.0.1:9/v1") as gateway:
        alive, ready = gateway.get("/healthz"), gateway.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["problems"]) == (200, {})


def test_metrics_count_calls_by_kind_and_outcome(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([answer(completion("ok")), answer({"error": {}}, status=500)]) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        gateway.post()
        gateway.post()
        found = samples(gateway.get("/metrics").text)

    ok = "slimdown_calls_total,endpoint=chat,outcome=ok,served_by=upstream,status="
    assert (found[f"{ok}2xx"], found[f"{ok}5xx"]) == (1, 1)
    assert found["slimdown_call_seconds_count"] == 2
    assert found["slimdown_overhead_seconds_bucket,le=+Inf"] == 2
    assert found["slimdown_unlogged_calls_total"] == 0
    assert found["slimdown_in_flight"] == 0
    assert (found["slimdown_recording"], found["slimdown_calls_never_stored"]) == (1, 0)


def test_refusals_are_counted_by_code(tmp_path: Path) -> None:
    with running_gateway(tmp_path, "http://127.0.0.1:9/v1") as gateway:
        refused = gateway.post(json=CHAT, headers={"host": "evil.example"})
        found = samples(gateway.get("/metrics").text)

    assert refused.status_code == 403
    assert found["slimdown_refused_total,code=host_not_allowed"] == 1


def test_no_page_holds_a_word_or_a_key_of_any_call(tmp_path: Path) -> None:
    asked = {"model": MARK, "messages": [{"role": "user", "content": MARK}], "user": MARK}

    with (
        ScriptedUpstream(answer(completion(MARK))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        gateway.post(json=asked, headers={"authorization": f"Bearer {MARK}"})
        gateway.post(f"/v1/chat/completions?x={MARK}", json=asked)
        pages = [gateway.get(path).text for path in ("/metrics", "/readyz", "/healthz")]

    assert not any(MARK in page for page in pages)


def test_a_page_of_ours_under_another_method_is_the_upstreams(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(answer({"theirs": True})) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        response = gateway.post("/healthz", json={})

    assert response.json() == {"theirs": True}
