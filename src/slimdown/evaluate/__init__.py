"""Evaluate: what agreement means for each kind of output, and how well specialists do by it."""
