import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from sample_report import (
    empty_report,
    json_rung,
    label_rung,
    refused_rung,
    sample_report,
    sample_task,
    sample_tasks,
)

from slimdown.report.model import Count, Report, RungReport, TaskReport, WorstExample
from slimdown.report.page import render, shown_rung, why_refused
from slimdown.types import Refusal

_VOID = {"meta", "rect", "line", "circle", "polyline", "polygon", "br"}
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_HOSTILE = (
    "<script>document.title='taken'</script>",
    "</style><script>document.title='taken'</script>",
    "</title><img src=x onerror=\"document.title='taken'\">",
    '" onmouseover="document.title=\'taken\'" x="',
    "'><svg onload=document.title='taken'>",
    "<iframe srcdoc=\"<script>parent.document.title='taken'</script>\"></iframe>",
    "<a href=\"javascript:document.title='taken'\">go</a>",
    "<base href='https://example.test/'><link rel=stylesheet href=//example.test/x.css>",
    "<meta http-equiv=refresh content='0;url=https://example.test/'>",
    "{{ 7 * 7 }}{% raw %}{{ ''.__class__ }}",
    "&lt;script&gt; &#60;script&#62; %3Cscript%3E",
    "<!-- --><![CDATA[<script>]]>",
    "a\x00b\u202etxt.exe\ud800",
)


class _Outline(HTMLParser):
    """Notes a page's elements and ids, and that each element is closed where it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _outline(page: str) -> _Outline:
    outline = _Outline()
    outline.feed(page)
    assert outline.open == []
    return outline


def _words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def _hostile_report(text: str) -> Report:
    task = sample_task(text, "label", text)
    worst = (WorstExample(text, text, {text: text}, [text], 0.9),)
    labels = tuple(msgspec.structs.replace(row, label=text + row.label) for row in ROWS)
    rung = msgspec.structs.replace(label_rung(), worst=worst, labels=labels, confusions=())
    refusal = RungReport(rung=text, refusal=Refusal(code=text, reason=text))
    tasks = (
        TaskReport(task=task, n_calls=5, rungs=(rung, refusal), served_by="linear"),
        TaskReport(task=task, n_calls=5, rungs=(refusal,), dropped=(Count(text, 1, text),)),
        TaskReport(task=task, n_calls=5, set_aside=text),
    )
    told = {"name": text, "version": text, "created_at": text, "notes": (text,), "tasks": tasks}
    return sample_report(**told, rejected=(Count(text, 1, text),))


ROWS = label_rung().labels


def test_the_page_is_well_formed_and_its_ids_are_unique() -> None:
    outline = _outline(render(sample_report()))
    ids = [attrs["id"] for _, attrs in outline.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {"header", "main", "footer", "h1"} <= {tag for tag, _ in outline.seen}


def test_every_reference_on_the_page_is_to_the_page() -> None:
    outline = _outline(render(sample_report()))
    ids = {attrs["id"] for _, attrs in outline.seen if "id" in attrs}
    for tag, attrs in outline.seen:
        assert not {"src", "srcset", "style", "action"} & set(attrs), tag
        assert "href" not in attrs or str(attrs["href"]).removeprefix("#") in ids
        for name in str(attrs.get("aria-labelledby") or "").split():
            assert name in ids, name


def test_the_page_has_no_script_and_its_policy_forbids_all_but_its_style() -> None:
    page = render(sample_report())
    assert "<script" not in page
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in page
    assert "unsafe-inline" not in page


def test_the_same_report_is_always_the_same_page() -> None:
    assert render(sample_report()) == render(sample_report())


def test_the_verdict_leads_with_what_can_move_and_at_what_risk() -> None:
    words = _words(render(sample_report()))
    assert "49% of your LLM calls can move" in words
    assert "at most 2% differ" in words
    assert "with 95% confidence" in words


def test_what_the_log_holds_is_told_in_whole_sentences() -> None:
    words = _words(render(sample_report()))
    assert "stored in 1,300 sessions, from 2026-09-07 06:00 UTC to 2026-11-02 02:38 UTC. " in words
    assert "no known price. 120 belong to no task." in words


def test_every_task_stands_in_the_table_with_its_verdict_and_reason() -> None:
    words = _words(render(sample_report()))
    assert "linear serves 90% of calls, at most 1.7% differ" in words
    assert "disagrees too often" in words
    assert "about 88 more calls to test on" in words
    assert "A human reads these answers." in words


def test_a_task_shows_curve_labels_confusions_failures_and_money() -> None:
    page = render(sample_report())
    words = _words(page)
    for text in ("By label", "Confusions", "Surest disagreements", "Money", "paid back after"):
        assert text in words
    assert 'class="bound"' in page
    assert 'class="mark"' in page


def test_a_json_task_shows_its_fields_and_why_another_rung_was_not_tried() -> None:
    words = _words(render(sample_report()))
    assert "order_number 214 99%" in words
    assert "Its answers are too many to be labels." in words


def test_all_assumptions_of_the_saving_are_told() -> None:
    words = _words(render(sample_report()))
    assert "Traffic goes on at 107 calls a day." in words
    assert "Prices as of 2026-05-27." in words


def test_a_workspace_without_calls_says_how_to_begin() -> None:
    words = _words(render(empty_report()))
    assert "Nothing to report yet." in words
    assert "slimdown import LOG" in words
    _outline(render(empty_report()))


def test_a_single_call_without_tasks_says_what_to_do_next() -> None:
    words = _words(render(empty_report(n_calls=1)))
    assert "1 call stored, no task found yet." in words
    assert "slimdown run" in words


def test_tasks_without_a_certificate_say_that_the_llm_keeps_them() -> None:
    tasks = tuple(task for task in sample_tasks() if not task.certificate)
    words = _words(render(sample_report(tasks=tasks, saving=None)))
    assert "No call can move yet" in words
    assert "the LLM keeps every call" in words


def test_without_prices_the_cost_is_unknown_and_never_guessed() -> None:
    words = _words(render(sample_report(cost_usd=None, saving=None)))
    assert "no price known" in words
    assert "No price of their models is known" in words


def test_the_rung_shown_is_the_chosen_one_else_the_one_that_agreed_most() -> None:
    certified, _, refused = sample_tasks()[:3]
    assert shown_rung(certified) == label_rung()
    both = msgspec.structs.replace(refused, rungs=(refused_rung(), json_rung()))
    assert shown_rung(both) == json_rung()
    assert shown_rung(msgspec.structs.replace(refused, rungs=())) is None


def test_the_refusal_told_is_the_one_that_more_calls_could_lift() -> None:
    few = RungReport(rung="fields", refusal=Refusal(code="x", reason="y", missing_labels=9))
    task = TaskReport(task=sample_task("t"), n_calls=1, rungs=(refused_rung(), few))
    assert why_refused(task) == few


@pytest.mark.parametrize("text", _HOSTILE)
def test_hostile_text_becomes_no_element_and_no_attribute(text: str) -> None:
    plain, hostile = (
        _outline(render(_hostile_report("plain"))),
        _outline(render(_hostile_report(text))),
    )
    assert [tag for tag, _ in hostile.seen] == [tag for tag, _ in plain.seen]
    assert [set(attrs) for _, attrs in hostile.seen] == [set(attrs) for _, attrs in plain.seen]


@pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_runs_nothing_of_a_hostile_page_and_applies_its_style(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(_hostile_report(" ".join(_HOSTILE))), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    ran = subprocess.run(
        [str(_CHROMIUM), *flags, profile, path.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "<title>taken</title>" not in ran.stdout
    assert "<h1" in ran.stdout
    assert "CONSOLE" not in ran.stderr, "the policy refused something of ours, or a script ran"
