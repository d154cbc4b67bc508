"""Why a question has no answer, in the shape of OpenAI's errors.

The codes are part of the interface: ``not_this_task``, ``too_long``, ``abstained``, ``failed``,
``unknown_specialist``, ``broken_specialist``, ``loading``, ``overloaded``, and those of requests
that nobody could answer. No message quotes a request.
"""

from __future__ import annotations

import msgspec


class Why(msgspec.Struct, frozen=True):
    """Why a question has no answer: an HTTP status, a stable code, and what to do."""

    status: int
    code: str
    message: str

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": self.message, "type": kind, "param": None, "code": self.code}
        return msgspec.json.encode({"error": error})


class Refused(Exception):
    """A question that has no answer, for a reason."""

    def __init__(self, why: Why) -> None:
        """Take the reason."""
        super().__init__(why.message)
        self.why = why


def unknown(specialist_id: str) -> Why:
    """Refuse: no specialist has this id."""
    return Why(
        404,
        "unknown_specialist",
        f"no specialist has the id {specialist_id[:64]}. GET /v1/models lists those that are "
        "routed; `slimdown report` names those that were trained.",
    )


def broken(specialist_id: str, why: str) -> Why:
    """Refuse: a specialist cannot be loaded."""
    return Why(
        404,
        "broken_specialist",
        f"the specialist {specialist_id[:64]} cannot be loaded: {why} The others go on answering.",
    )


LOADING = Why(
    503, "loading", "The specialist is being loaded; ask again in a second, or ask the upstream."
)
OVERLOADED = Why(
    503, "overloaded", "More questions wait than can be answered soon; ask the upstream."
)
NOT_THIS_TASK = Why(
    409, "not_this_task", "The request belongs to none of the specialists' tasks; ask the upstream."
)
TOO_LONG = Why(
    422, "too_long", "The request is longer than the specialist was judged with; ask the upstream."
)
ABSTAINED = Why(422, "abstained", "The specialist has no answer to this request; ask the upstream.")
FAILED = Why(
    422, "failed", "The specialist failed on this request, which was not kept; ask the upstream."
)
NOT_JSON = Why(400, "invalid_json", "The body is no JSON object; send a chat-completions request.")
NO_SPECIALIST = Why(
    400,
    "no_specialist",
    "The request names no specialist: give its id as `model`, or in the header x-slimdown-offer.",
)
NO_SUCH_PLACE = Why(
    404, "not_found", "There is nothing here; POST /v1/chat/completions, or GET /v1/models."
)
WRONG_METHOD = Why(405, "method_not_allowed", "This path takes another method.")
TOO_LARGE = Why(
    413,
    "body_too_large",
    "The body is larger than gateway.max_body_bytes allows; ask the upstream.",
)
NOT_FOR_PAGES = Why(
    403,
    "not_allowed",
    "Web pages may not ask specialists, nor may who calls this machine by another name; use "
    "127.0.0.1 and send no Origin.",
)
