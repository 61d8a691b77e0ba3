"""The processes that a run leaves behind: none may survive it, whatever session it went to.

On Linux a worker is the subreaper of what it starts (PR_SET_CHILD_SUBREAPER, prctl(2)): a process whose parent died
becomes the worker's child, so that killing its children until it has none kills the whole tree.  Elsewhere the run's
process group has to do; there is only lxrun to be run, whose guests are all in one process of the host.
"""

from __future__ import annotations

import os
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 10.0
"""Seconds for killed processes to go; one in an uninterruptible wait may take longer, and is given up on."""


def adopt() -> None:
    """Have the orphans of this process's descendants become its children, where the host can do that."""
    if sys.platform != "linux" or os.environ.get("LXRUN_HOST") == "portable":
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def sweep(leader: int) -> None:
    """Kill and reap the process group of `leader` and every child that this process has."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or has another user; then it may still be a child
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        time.sleep(0.001)


def clear(kept: set[int]) -> None:
    """Kill and reap every child of this process that is not one of `kept`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        strays = set(children()) - kept
        if not strays:
            return
        for pid in strays:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, PermissionError, ChildProcessError):
                pass
        time.sleep(0.001)


def children() -> list[int]:
    """This process's children, from /proc/PID/stat (proc_pid_stat(5)); empty where there is no /proc."""
    found = []
    myself = os.getpid()
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > 1 and int(fields[1]) == myself:
            found.append(int(name))
    return found
