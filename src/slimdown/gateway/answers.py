"""What an upstream's answer is, by its head and its bytes: a stream, valid, open for an event more.

Knows nothing of what an answer says; that is for `capture`.
"""

from __future__ import annotations

import msgspec

from slimdown.gateway.outgoing import header
from slimdown.gateway.passage import Passage

_EVENTS = (b"data:", b"event:", b"id:", b":")


def is_stream(passage: Passage) -> bool:
    """Tell whether an answer is passed on as it comes.

    Some servers call a stream nothing, or plain text: there the caller's wish decides.
    """
    kind = header(passage.headers, b"content-type").lower()
    if kind.startswith(b"text/event-stream"):
        return True
    is_named = b"json" in kind or kind.startswith(b"text/html")
    return passage.status == 200 and passage.inbound.wants_stream and not is_named


def is_invalid(passage: Passage) -> bool:
    """Tell whether an answer that claims success holds no JSON where JSON is due.

    An error that is no JSON passes as it is: its status says what matters. One in a coding is
    left to the recorder, and so are the events of a stream that somebody asked for.
    """
    if passage.status != 200 or header(passage.headers, b"content-encoding"):
        return False
    body = b"".join(passage.pieces)
    if passage.inbound.wants_stream and body.startswith(_EVENTS):
        return False
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return True
    return False


def takes_no_more(passage: Passage) -> bool:
    """Tell whether an event of ours would not be one: after a body of a told length, or inside a
    coding."""
    framed = (b"content-length", b"content-encoding")
    return any(header(passage.headers, name) for name in framed)
