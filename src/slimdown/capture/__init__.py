"""From the logs that people already have to calls: formats are sniffed, not asked for."""

from slimdown.capture.reading import FORMATS, Reject, Rejects, read_log, read_logs, sniff

__all__ = ["FORMATS", "Reject", "Rejects", "read_log", "read_logs", "sniff"]
