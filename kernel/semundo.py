"""What a process takes back on System V semaphores when it ends (SEM_UNDO): Linux's ``struct sem_undo_list``.

Apart from kernel/sem.py, because every thread shares a list, and few programs have semaphores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.sem import SemArray, SemUndo
    from kernel.task import Task


class SemUndoList:
    """struct sem_undo_list: of one process, or of all that CLONE_SYSVSEM made share it."""

    __slots__ = ("undos", "users")

    def __init__(self) -> None:
        self.users = 1
        self.undos: dict[SemArray, SemUndo] = {}

    def exit(self, task: Task) -> None:
        """exit_sem: a task leaves; with the last one, what was collected is taken back, the newest array first."""
        task.undo_list = None
        self.users -= 1
        if not self.users:
            while self.undos:
                found, undo = self.undos.popitem()
                found.take_back(undo, task.tgid)


def copy_semundo(parent: Task, child: Task) -> None:
    """clone(2) with CLONE_SYSVSEM: one list for both."""
    if parent.undo_list is None:
        parent.undo_list = SemUndoList()
    parent.undo_list.users += 1
    child.undo_list = parent.undo_list
