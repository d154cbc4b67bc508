"""An upstream that answers from recorded calls: the demo's LLM and the tests' own."""

from slimdown.replay.app import ReplayApp

__all__ = ["ReplayApp"]
