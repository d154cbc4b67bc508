"""The certificate: from which score on a specialist may serve, with a finite-sample guarantee."""

from slimdown.certify.certificate import (
    Decision,
    certify,
    curve,
    expected_coverage,
    naive_threshold,
)

__all__ = ["Decision", "certify", "curve", "expected_coverage", "naive_threshold"]
