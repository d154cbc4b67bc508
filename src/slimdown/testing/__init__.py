"""Public fakes, so that nothing needs to be mocked: sample calls, small stand-ins for seams, and
servers on loopback ports that say what they are told to say."""

from slimdown.testing.calls import sample_call
from slimdown.testing.completions import completion, completion_chunks
from slimdown.testing.encoders import tiny_encoder
from slimdown.testing.scripted import (
    Close,
    Hang,
    Reset,
    Say,
    Script,
    Seen,
    Step,
    Wait,
    answer,
    chunk,
    head,
    refuse,
    sse,
)
from slimdown.testing.serving import free_port, serving
from slimdown.testing.specialists import CopyingRung, CopyingSpecialist
from slimdown.testing.tls import TLSIdentity, tls_identity
from slimdown.testing.upstream import Abort, ScriptedUpstream

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
INTERRUPTIBLE += "from slimdown.cli import main; main()"
"""Runs the command with SIGINT as a terminal has it: a job in the background ignores it."""

__all__ = [
    "INTERRUPTIBLE",
    "Abort",
    "Close",
    "CopyingRung",
    "CopyingSpecialist",
    "Hang",
    "Reset",
    "Say",
    "Script",
    "ScriptedUpstream",
    "Seen",
    "Step",
    "TLSIdentity",
    "Wait",
    "answer",
    "chunk",
    "completion",
    "completion_chunks",
    "free_port",
    "head",
    "refuse",
    "sample_call",
    "serving",
    "sse",
    "tiny_encoder",
    "tls_identity",
]
