"""A report with every kind of part, for the tests of the page; its numbers are invented."""

from typing import Any

from slimdown.report.model import (
    Confusion,
    Count,
    FieldRow,
    LabelRow,
    Report,
    RungReport,
    SavingFigures,
    TaskReport,
    WorstExample,
)
from slimdown.types import Certificate, CurvePoint, Refusal, Task, Template

NOW = "2026-11-20T10:15:00.000Z"


def sample_task(name: str, kind: Any = "label", description: str = "") -> Task:
    template = Template(slots=())
    return Task(id=name, name=name, description=description, kind=kind, template=template)


def sample_certificate(rung: str, coverage: float, upper: float) -> Certificate:
    return Certificate(
        task_id="t",
        specialist_id="s",
        rung=rung,
        threshold=0.8,
        n=286,
        k=1,
        risk=0.02,
        delta=0.05,
        coverage=coverage,
        upper=upper,
        keyed_on={},
        created_at=NOW,
    )


def sample_curve(steepness: float) -> tuple[CurvePoint, ...]:
    points = []
    for step in range(1, 21):
        share = step / 20
        n = round(320 * share)
        k = round(steepness * n * share**5)
        points.append(CurvePoint(share, 1 - share, n, k, min(1.0, (k + 3.0) / n)))
    return tuple(points)


def sample_saving(**changed: Any) -> SavingFigures:
    told = {
        "usd_per_call": 0.00042,
        "usd_per_call_low": 0.00036,
        "usd_per_call_high": 0.00048,
        "share": 0.88,
        "share_low": 0.82,
        "share_high": 0.93,
        "upstream_usd_per_call": 0.00048,
        "specialist_usd_per_call": 1.5e-7,
        "training_usd": 0.0008,
        "usd_per_month": 1.28,
        "usd_per_month_low": 1.11,
        "usd_per_month_high": 1.46,
        "break_even_calls": 1.97,
        "payback_days": 0.02,
        "verdict": "worth it",
        "reason": "Even the low end of the interval saves money.",
        "assumptions": ("Traffic goes on at 107 calls a day.", "Prices as of 2026-05-27."),
    }
    return SavingFigures(**{**told, **changed})


def label_rung() -> RungReport:
    names = ("track_order", "cancel_order", "return_item", "refund_status", "login_problem")
    return RungReport(
        rung="linear",
        certificate=sample_certificate("linear", 0.9, 0.0165),
        n_calibration=318,
        agreement=0.972,
        truth_agreement=0.981,
        train_seconds=4.2,
        latency_ms=1.9,
        n_bytes=1_840_000,
        curve=sample_curve(0.03),
        labels=tuple(LabelRow(name, 60 + i, 0.97, 59 / (60 + i)) for i, name in enumerate(names)),
        confusions=tuple(
            Confusion(name, names[(i + 2) % 5], 1 + i) for i, name in enumerate(names)
        ),
        worst=(
            WorstExample(
                "demo-00012-0",
                "Hi all. I want my proile erased, and where is SO-33097?",
                "delete_account",
                "track_order",
                0.981,
            ),
        ),
    )


def json_rung() -> RungReport:
    facts = {"amount": 49.9, "order_number": "SO-33097", "product": None}
    return RungReport(
        rung="fields",
        certificate=sample_certificate("fields", 0.65, 0.0192),
        n_calibration=316,
        agreement=0.914,
        train_seconds=27.0,
        latency_ms=6.4,
        n_bytes=45_300_000,
        curve=sample_curve(0.09),
        fields=(FieldRow("order_number", 214, 0.991), FieldRow("product", 190, 0.942)),
        worst=(WorstExample("demo-00040-1", "not SO-33097 ...", facts, {**facts, "x": 1}, 0.93),),
    )


def refused_rung(rung: str = "linear") -> RungReport:
    reason = "a test at 2.0% would pass with a chance of 3% at best: on dev it disagrees too often."
    return RungReport(
        rung=rung,
        refusal=Refusal(code="disagrees_too_often", reason=reason),
        n_calibration=178,
        agreement=0.34,
        curve=sample_curve(0.66),
    )


def sample_tasks() -> tuple[TaskReport, ...]:
    objection = RungReport(rung="linear", objection="Its answers are too many to be labels.")
    few = Refusal(code="too_few_labels", reason="61 labels cannot prove 2.0%.", missing_labels=88)
    return (
        TaskReport(
            task=sample_task("classify-help-desk-mail", "label", "Names the intent of a message."),
            n_calls=1260,
            cost_usd=0.06,
            n_train=755,
            n_dev=189,
            n_calibration=318,
            dropped=(Count("near_duplicate", 9), Count("refusal", 4)),
            n_contradictions=3,
            rungs=(label_rung(),),
            served_by="linear",
            saving=sample_saving(),
        ),
        TaskReport(
            task=sample_task("note-order-facts", "json", "Notes the facts of an order."),
            n_calls=1255,
            cost_usd=0.92,
            rungs=(objection, json_rung()),
            served_by="fields",
        ),
        TaskReport(task=sample_task("pick-voucher"), n_calls=700, rungs=(refused_rung(),)),
        TaskReport(
            task=sample_task("triage"), n_calls=240, rungs=(RungReport(rung="linear", refusal=few),)
        ),
        TaskReport(
            task=sample_task("first-reply", "text"),
            n_calls=260,
            set_aside="A human reads these answers.",
        ),
    )


def sample_report(**changed: Any) -> Report:
    told: dict[str, Any] = {
        "name": "help-desk",
        "version": "0.1.0",
        "created_at": NOW,
        "risk": 0.02,
        "delta": 0.05,
        "n_calls": 4000,
        "n_sessions": 1300,
        "first_call_at": "2026-09-07T06:00:00.000Z",
        "last_call_at": "2026-11-02T02:38:53.800Z",
        "cost_usd": 2.87,
        "n_unpriced": 12,
        "n_left": 120,
        "rejected": (Count("not JSON", 2, "line 17, line 40"),),
        "set_aside": (Count("failure", 24), Count("truncated", 18), Count("human_facing", 260)),
        "tasks": sample_tasks(),
        "saving": sample_saving(),
        "notes": ("This log was made for the demo.",),
    }
    return Report(**{**told, **changed})


def empty_report(**changed: Any) -> Report:
    return Report(
        **{
            "version": "0.1.0",
            "created_at": NOW,
            "risk": 0.02,
            "delta": 0.05,
            "n_calls": 0,
            **changed,
        }
    )
