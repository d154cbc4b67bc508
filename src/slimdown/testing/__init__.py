"""Public fakes, so that nothing needs to be mocked: sample calls, and small stand-ins for seams."""

from slimdown.testing.calls import sample_call
from slimdown.testing.encoders import tiny_encoder
from slimdown.testing.specialists import CopyingRung, CopyingSpecialist

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
INTERRUPTIBLE += "from slimdown.cli import main; main()"
"""Runs the command with SIGINT as a terminal has it: a job in the background ignores it."""

__all__ = [
    "INTERRUPTIBLE",
    "CopyingRung",
    "CopyingSpecialist",
    "sample_call",
    "tiny_encoder",
]
