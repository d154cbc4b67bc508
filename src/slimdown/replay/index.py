"""Recorded answers, found by what was asked.

Several answers to one request are given in the order of recording, then from the first again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from slimdown.capture.wire_parts import MIN_DROPPED_CHARS, lightened
from slimdown.replay.likeness import kin_key, request_key, said_text
from slimdown.replay.nearest import NearestText
from slimdown.replay.recorded import NEAREST, Recorded, recorded
from slimdown.types import Call, JsonObject


class ReplayIndex:
    """Answers by request. ``n_answers`` counts them, ``n_skipped`` the calls without any.

    With ``nearest`` a request that was never made gets the answer to the most similar one among
    those with the same tools, contract and system texts. With ``model_check`` an answer that was
    recorded for another model counts for nothing; without it, only where there is one for the same.
    """

    def __init__(
        self, calls: Iterable[Call], *, nearest: bool = False, model_check: bool = False
    ) -> None:
        """Read all calls once; what is kept of each is its encoded answer and a few numbers."""
        self.n_skipped = 0
        self._model_check = model_check
        self._answers: list[Recorded] = []
        self._places: dict[tuple[bytes, str], list[int]] = {}
        self._any_model: dict[bytes, list[int]] = {}
        self._given: Counter[tuple[bytes, str]] = Counter()
        self._nearest = NearestText() if nearest else None
        for call in calls:
            self._add(call)

    @property
    def n_answers(self) -> int:
        """How many recorded answers there are."""
        return len(self._answers)

    @property
    def likeness(self) -> str:
        """What a recorded call must have done to be the answer to a request, in words."""
        if self._nearest is None:
            return "asked this"
        return "has these tools, output contract and system texts"

    @property
    def models(self) -> list[str]:
        """The models that were asked, by name."""
        return sorted({model for _, model in self._places if model})

    def find(self, request: JsonObject) -> Recorded | None:
        """Return the answer to a chat request, None where there is none.

        Large parts of the request have given way to their hash (`capture.wire_parts`).
        """
        model = request.get("model")
        key = (request_key(request), model if isinstance(model, str) else "")
        places = self._places.get(key) or self._places.get((key[0], ""))
        if places is None and not self._model_check:
            places = self._any_model.get(key[0])
        if places is None:
            return self._find_nearest(request)
        turn = self._given[key]
        if len(places) > 1:
            self._given[key] += 1
        return self._answers[places[turn % len(places)]]

    def _add(self, call: Call) -> None:
        answer = recorded(call)
        if answer is None:
            self.n_skipped += 1
            return
        request, _ = lightened(call.request, MIN_DROPPED_CHARS + 1)
        key, place = request_key(request), len(self._answers)
        self._answers.append(answer)
        self._places.setdefault((key, answer.model), []).append(place)
        self._any_model.setdefault(key, []).append(place)
        if self._nearest is not None and answer.status < 400:
            self._nearest.add(kin_key(request), said_text(request), place)

    def _find_nearest(self, request: JsonObject) -> Recorded | None:
        if self._nearest is None:
            return None
        place = self._nearest.find(kin_key(request), said_text(request))
        if place is None:
            return None
        answer = self._answers[place]
        body = msgspec.json.decode(answer.body)
        marked = msgspec.json.encode({**body, "system_fingerprint": NEAREST})
        return msgspec.structs.replace(answer, body=marked)
