"""What calls cost, and what a specialist would save: every figure with what it assumes."""

from slimdown.ledger.cost import Cost, Usage, cost_of, usage_of
from slimdown.ledger.prices import Price, Prices, load_prices, price_notes
from slimdown.ledger.saving import Coverage, Saving, SpecialistUse, saving_of, total_saving

__all__ = [
    "Cost",
    "Coverage",
    "Price",
    "Prices",
    "Saving",
    "SpecialistUse",
    "Usage",
    "cost_of",
    "load_prices",
    "price_notes",
    "saving_of",
    "total_saving",
    "usage_of",
]
