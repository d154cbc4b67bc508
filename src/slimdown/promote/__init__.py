"""Moves of a specialist between stages: what each needs, and the route table that it makes."""

from slimdown.promote.gate import Standing
from slimdown.promote.table import Change, promoted, rolled_back, stepped_down

__all__ = ["Change", "Standing", "promoted", "rolled_back", "stepped_down"]
