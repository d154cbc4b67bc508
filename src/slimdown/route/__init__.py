"""Which task a request belongs to, who is asked for it, and whether an answer is fit to serve."""

from slimdown.route.assign import Assigner
from slimdown.route.candidates import Candidates
from slimdown.route.checks import make_ready, unfit
from slimdown.route.decide import decide

__all__ = ["Assigner", "Candidates", "decide", "make_ready", "unfit"]
