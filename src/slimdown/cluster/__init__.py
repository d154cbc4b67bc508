"""Task discovery: which of an agent's calls are the same operation (S3)."""

from slimdown.cluster.find import Clustering, find_tasks

__all__ = ["Clustering", "find_tasks"]
