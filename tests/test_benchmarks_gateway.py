import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from gateway_parts.growth import growth, slope_per_minute
from gateway_parts.line import Answer, Piece, chat_request, dial
from gateway_parts.load import nginx_config, parse_load
from gateway_parts.profile import profile_rows
from gateway_parts.stream_upstream import Upstream, event
from gateway_parts.streams import said_in, stream_body
from gateway_parts.summary import medians, with_added, with_ratios

PRINTED = """Running 2s test @ http://127.0.0.1:9000/v1/chat/completions
  1 threads and 1 connections
{"n_calls":3000,"seconds":2.0,"n_errors":1,"p50_us":600,"p90_us":700,"p99_us":900,"max_us":1e4}
"""


def test_the_loads_figures_are_read_from_its_last_line() -> None:
    load = parse_load(PRINTED)

    assert (load.n_calls, load.n_errors, load.p99_us) == (3000, 1, 900)
    assert load.calls_per_s == 1500


def test_a_load_that_printed_no_figures_is_an_error() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse_load("unable to connect to 127.0.0.1:9000")


def test_the_upstreams_answer_stands_quoted_in_its_configuration() -> None:
    config = nginx_config(Path("/run/bench"), 9001, {"said": 'it\'s {"a": 1}'})

    assert "listen 127.0.0.1:9001;" in config
    assert r"""return 200 '{"said": "it\'s {\\"a\\": 1}"}';""" in config
    assert "@" not in config


def test_rounds_become_medians_and_counts_sums() -> None:
    runs = [{"gateway": "direct", "p50_ms_1": ms, "n_errors_1": 1} for ms in (3.0, 1.0, 2.0)]

    rows = medians(runs)

    assert rows == [{"gateway": "direct", "rounds": 3, "p50_ms_1": 2.0, "n_errors_1": 3}]


def test_what_a_gateway_adds_is_told_beside_the_upstreams_own_time() -> None:
    rows = [{"gateway": "direct", "ms": 1.0}, {"gateway": "slimdown", "ms": 1.5}]

    added = with_added(rows, ["ms"])

    assert [row["added_ms"] for row in added] == [0.0, 0.5]


def test_ratios_are_how_many_times_the_figure_slimdown_has() -> None:
    rows = [{"gateway": "slimdown", "calls": 600}, {"gateway": "other", "calls": 200}]

    assert [row["slimdown_times_calls"] for row in with_ratios(rows, ["calls"])] == [1.0, 3.0]


def test_without_the_upstreams_own_row_nothing_is_added() -> None:
    rows = [{"gateway": "slimdown", "ms": 1.5}]

    assert with_added(rows, ["ms"]) == rows


def test_a_chunk_arrives_with_the_piece_that_ends_it() -> None:
    whole = event({"content": "7:1000 "})
    pieces = [Piece(1, 1, 2000, whole[:60]), Piece(2, 2, 3000, whole[60:])]

    (said,) = said_in(Answer(0, pieces=pieces))

    assert (said.number, said.sent_ns, said.at_ns, said.chunk) == (7, 1000, 3000, 2)


def test_samples_are_shares_of_what_was_at_work() -> None:
    stack = "thread (1): MainThread;run (asyncio/runners.py:1);{} 3"
    waiting = "thread (2): recorder;Condition.wait (threading.py:320) 90"
    ours = stack.format("put (slimdown/store/parts.py:9)")
    theirs = stack.format("send (uvicorn/protocol.py:2)")

    rows = profile_rows("\n".join([ours, theirs, waiting]))

    shares = {(row["by"], row["name"]): row["share"] for row in rows}
    assert shares["area", "slimdown/store"] == shares["area", "uvicorn"] == 0.5
    assert shares["thread", "MainThread"] == 1.0


def test_growth_compares_late_with_early() -> None:
    samples = [{"at_s": 60.0 * minute, "mb": 100.0 + minute} for minute in range(9)]

    assert slope_per_minute(samples, "mb") == pytest.approx(1.0)
    assert growth(samples, "mb") == pytest.approx(107.5 / 100.5 - 1)


@pytest.mark.parametrize(("wish", "is_whole"), [("", True), ("cut", False)])
def test_the_streaming_upstream_says_its_chunks_in_order(wish: str, is_whole: bool) -> None:
    numbers, whole = asyncio.run(_streamed(wish))

    assert numbers == ([0, 1, 2, 3] if is_whole else [0, 1])
    assert whole == is_whole


async def _streamed(wish: str) -> tuple[list[int], bool]:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Upstream, "127.0.0.1", 0) as server:
        line = await dial(server.sockets[0].getsockname()[1])
        request = chat_request({}, {**stream_body(4), "user": wish})
        with suppress(ConnectionError):
            await line.ask(request)
        line.hang_up()
        whole = b"data: [DONE]" in line.answer.body
        return [said.number for said in said_in(line.answer)], whole
