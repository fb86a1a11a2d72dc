"""How many threads a computation may use here without waiting for others."""

from __future__ import annotations

import os
from pathlib import Path

_MOST = 8  # a model of a few hundred million weights gets slower beyond


def idle_cores() -> int:
    """Cores this process may use and that are free just now, 1 to 8.

    Counts the scheduler's affinity, a container's quota (cgroup v2) and, on Linux, what runs at this moment: threads
    that meet at a barrier are only as fast as the one that shares its core, so on a busy machine one thread was
    measured four times faster than two.
    """
    machine = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    return max(1, min(machine - _running_elsewhere(), allowed, _quota(allowed), _MOST))


def _quota(otherwise: int) -> int:
    limit, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    return max(1, int(limit) // int(period)) if limit.isdigit() and period.strip().isdigit() else otherwise


def _running_elsewhere() -> int:
    fields = _read("/proc/loadavg").split()
    running = fields[3].partition("/")[0] if len(fields) > 3 else ""
    return max(0, int(running) - 1) if running.isdigit() else 0


def _read(path: str) -> str:
    """The file's text; empty where the system has no such file."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
