"""How many processor cores there are to work with. Thread: any."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may run on, which a container or `taskset` may make fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
