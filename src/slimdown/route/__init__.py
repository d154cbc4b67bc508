"""Which task a request belongs to, decided on the request alone."""

from slimdown.route.assign import Assigner

__all__ = ["Assigner"]
