"""Curate (S2): set aside what is unfit to learn from, group near-duplicates, split by time."""

from slimdown.curate.curation import Curated, Kept, curate, input_text
from slimdown.curate.duplicates import group_ids
from slimdown.curate.filters import CurationRules
from slimdown.curate.splits import is_dated, split

__all__ = [
    "Curated",
    "CurationRules",
    "Kept",
    "curate",
    "group_ids",
    "input_text",
    "is_dated",
    "split",
]
