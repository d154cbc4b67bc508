"""The report as one HTML page that needs nothing else: no network, no script, no other file.

Styles are inline and allowed by their hash; the content security policy forbids all the rest, so
even a text that slipped through escaping could load and run nothing. All texts are escaped by the
templates. It does not know where the report's figures come from, nor where the page is written.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slimdown.report import figures
from slimdown.report.charts import curve_chart, matrix, shares
from slimdown.report.model import Report, RungReport, TaskReport

_SESSION_CALLS = 10
"""Served calls of the agent run by which the page explains what a floor means for whole runs."""


def render(report: Report) -> str:
    """Return the page, as text to be written in UTF-8."""
    style = _style()
    page = _environment().get_template("page.html.j2")
    return page.render(
        report=report,
        # Escaping would change bytes of our own stylesheet, and the policy goes by their hash.
        style=Markup(style),
        policy=_policy(style),
        shares=shares(report),
        session_calls=_SESSION_CALLS,
        session_risk=1 - (1 - report.risk) ** _SESSION_CALLS,
    )


def shown_rung(task: TaskReport) -> RungReport | None:
    """Return the rung whose evidence the page shows: the chosen one, else the one that agreed
    most often, None where none was evaluated."""
    if task.served:
        return task.served
    tried = [rung for rung in task.rungs if rung.agreement is not None]
    return max(tried, key=lambda rung: rung.agreement or 0.0, default=None)


def why_refused(task: TaskReport) -> RungReport | None:
    """Return the rung whose refusal to tell first: the one nearest to a certificate."""
    refused = [rung for rung in task.rungs if rung.refusal or rung.objection]
    near = [rung for rung in refused if rung.refusal and rung.refusal.missing_labels is not None]
    shown = shown_rung(task)
    ranked = [*near, *([shown] if shown in refused else []), *refused]
    return ranked[0] if ranked else None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("slimdown.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "percent",
        "count",
        "usd",
        "duration",
        "size",
        "code",
        "when",
        "spoken",
        "sentence",
    ):
        environment.filters[name] = getattr(figures, name)
    for function in (curve_chart, matrix, shown_rung, why_refused):
        environment.globals[function.__name__] = function
    return environment


@cache
def _style() -> str:
    return files("slimdown.report").joinpath("templates", "page.css").read_text("utf-8")


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
