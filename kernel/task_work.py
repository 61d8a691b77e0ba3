"""Work that is done for a task before its guest code goes on: Linux's task_work_add and task_work_run.

A task that sleeps in a call is woken for it, does it, and sleeps on: the call sees a spurious wake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.io_uring.ring import IoRing
    from kernel.task import Task

Work = Callable[[], "IoRing | None"]
"""What is to be done; answers the ring it has posted completions to, whose waiters are told once all is done."""


def task_work_add(task: Task, work: Work) -> None:
    """Have `work` done in the context of `task`, soon."""
    if task.task_works is None:
        task.task_works = deque()
    task.task_works.append(work)
    task.pending_work = True
    if task.asleep:
        task.kernel.make_ready(task)


def task_work_run(task: Task) -> None:
    """Do what there is to do; `task` has the CPU."""
    works = task.task_works
    rings: dict[IoRing, None] = {}
    while works:
        while works:
            ring = works.popleft()()
            if ring is not None:
                rings[ring] = None
        for ring in rings:
            ring.commit()  # which may give more work, to whoever polls the ring through a ring
        rings.clear()
