"""The geometry of the page's charts: numbers in, coordinates in SVG units out.

Drawing is the template's; a chart holds no colour and no markup. It does not judge: the line of a
curve is what the evaluation measured, also where it breaks the floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from slimdown.report.figures import percent
from slimdown.report.model import Confusion, LabelRow, Report
from slimdown.types import Certificate, CurvePoint

WIDTH, HEIGHT = 620, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 18, 44
_TICK_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
_MOST_TICKS = 6
_MOST_MATRIX_LABELS = 16


class Tick(msgspec.Struct, frozen=True):
    """A grid line at ``at`` (x or y), and what stands beside it."""

    at: float
    text: str


class Mark(msgspec.Struct, frozen=True):
    """The certified point, and its words."""

    x: float
    y: float
    text: str


class CurveChart(msgspec.Struct, frozen=True, kw_only=True):
    """Disagreement over coverage: ``bound`` and ``observed`` are polylines, ``band`` lies between.

    Lines may rise above ``top`` and are to be clipped there. ``floor`` is the height of the risk
    line; ``summary`` says the chart in words.
    """

    bound: str
    observed: str
    band: str
    floor: float
    floor_text: str
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mark: Mark | None
    summary: str


class Share(msgspec.Struct, frozen=True):
    """A piece of the bar of all calls: where it starts and how wide it is, of 1,000."""

    kind: str
    text: str
    n_calls: float
    start: float
    width: float


class MatrixCell(msgspec.Struct, frozen=True):
    """How often a pair of labels met; ``weight`` 0..4 is how strongly to shade it."""

    n: int
    weight: int
    agrees: bool


class Matrix(msgspec.Struct, frozen=True):
    """A whole confusion table: a row per upstream label, a column per specialist label."""

    labels: tuple[str, ...]
    rows: tuple[tuple[MatrixCell, ...], ...]


def curve_chart(
    curve: Sequence[CurvePoint], risk: float, certificate: Certificate | None
) -> CurveChart | None:
    """Return the chart of a curve, or None where there are fewer than two points to join."""
    points = sorted((p for p in curve if _drawable(p)), key=lambda p: p.coverage)
    if len(points) < 2:
        return None
    most = _ceiling(points, risk)
    bound = [(_x(p.coverage), _y(p.upper, most)) for p in points]
    observed = [(_x(p.coverage), _y(p.k / p.n, most)) for p in points]
    return CurveChart(
        bound=_line(bound),
        observed=_line(observed),
        band=_line([*bound, *reversed(observed)]),
        floor=_y(risk, most),
        floor_text=f"floor {percent(risk)}",
        x_ticks=tuple(Tick(_x(i / 5), percent(i / 5)) for i in range(6)),
        y_ticks=tuple(Tick(_y(value, most), percent(value)) for value in _ticks(most)),
        mark=_mark(certificate, most) if certificate else None,
        summary=_in_words(points, risk, certificate),
    )


def shares(report: Report) -> tuple[Share, ...]:
    """Return what becomes of all calls, as the pieces of one bar; nothing for an empty report."""
    if report.n_calls <= 0:
        return ()
    by_verdict = {"refused": 0.0, "set aside": 0.0, "not tried": 0.0}
    rest = 0.0
    for task in report.tasks:
        if task.certificate:
            rest += task.n_calls - task.moved_calls
        else:
            by_verdict[task.verdict] += task.n_calls
    elsewhere = max(0.0, report.n_calls - sum(task.n_calls for task in report.tasks))
    pieces = [
        ("moved", "served by specialists", report.moved_calls),
        ("rest", "certified tasks, left to the upstream", rest),
        ("refused", "tasks refused", by_verdict["refused"]),
        ("aside", "tasks set aside", by_verdict["set aside"]),
        ("untried", "tasks not tried", by_verdict["not tried"]),
        ("elsewhere", "in no task", elsewhere),
    ]
    return _side_by_side(pieces)


def matrix(labels: Sequence[LabelRow], confusions: Sequence[Confusion]) -> Matrix | None:
    """Return the whole confusion table, or None where it is too big or some pairs are not told.

    Agreeing pairs are recovered from recall; a row must add up to its label's count.
    """
    names = tuple(row.label for row in labels)
    if not 2 <= len(names) <= _MOST_MATRIX_LABELS:
        return None
    pairs = {(c.theirs, c.ours): c.n for c in confusions if c.theirs != c.ours}
    pairs |= {(r.label, r.label): round((r.recall or 0.0) * r.n) for r in labels}
    rows = tuple(tuple(pairs.get((theirs, ours), 0) for ours in names) for theirs in names)
    if any(sum(row) != told.n for row, told in zip(rows, labels, strict=True)):
        return None
    most = max(max(row) for row in rows) or 1
    cells = tuple(
        tuple(MatrixCell(n, _weight(n, most), i == j) for j, n in enumerate(row))
        for i, row in enumerate(rows)
    )
    return Matrix(names, cells)


def _drawable(point: CurvePoint) -> bool:
    return point.n > 0 and all(map(math.isfinite, (point.coverage, point.upper)))


def _ceiling(points: Sequence[CurvePoint], risk: float) -> float:
    """Return the top of the scale: all of the observed line, but not the wildest bounds."""
    observed = max(p.k / p.n for p in points)
    bounds = sorted(p.upper for p in points)
    typical = bounds[len(bounds) * 3 // 4]
    return min(1.0, max(2.5 * risk, 1.1 * observed, min(1.1 * typical, 5 * risk)))


def _ticks(most: float) -> list[float]:
    step = next((s for s in _TICK_STEPS if most / s < _MOST_TICKS), 0.5)
    return [i * step for i in range(int(most / step + 1e-9) + 1)]


def _mark(certificate: Certificate, most: float) -> Mark:
    x = _x(certificate.coverage)
    text = (
        f"{percent(certificate.coverage)} of calls, at most "
        f"{percent(certificate.upper)} disagreement"
    )
    return Mark(x, _y(min(certificate.upper, most), most), text)


def _in_words(points: Sequence[CurvePoint], risk: float, certificate: Certificate | None) -> str:
    first, last = points[0], points[-1]
    said = (
        f"At {percent(first.coverage)} of calls {percent(first.k / first.n)} of answers disagreed "
        f"(bound {percent(first.upper)}); at {percent(last.coverage)} of calls "
        f"{percent(last.k / last.n)} did (bound {percent(last.upper)}). "
        f"The floor is {percent(risk)}."
    )
    if certificate is None:
        return said + " No point is certified."
    return said + f" Certified at {percent(certificate.coverage)} of calls."


def _side_by_side(pieces: Sequence[tuple[str, str, float]]) -> tuple[Share, ...]:
    total = sum(n for _, _, n in pieces) or 1.0
    placed, start = [], 0.0
    for kind, text, n_calls in pieces:
        width = 1000 * n_calls / total
        if n_calls > 0:
            placed.append(Share(kind, text, n_calls, round(start, 2), round(width, 2)))
        start += width
    return tuple(placed)


def _weight(n: int, most: int) -> int:
    return 0 if n == 0 else 1 + min(3, int(3.999 * (n / most) ** 0.5))


def _x(coverage: float) -> float:
    share = min(max(coverage, 0.0), 1.0)
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, most: float) -> float:
    share = max(value / most, 0.0)
    return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
