"""Workers: processes that examine one case after the other, so that each owns what its cases start."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from conformance import tree
from conformance.judge import examine
from conformance.record import CaseRecord
from conformance.rules import Rule
from conformance.run import Runner, unmount
from conformance.suite import Case


@dataclass(frozen=True, slots=True)
class Settings:
    """What all cases have in common."""

    env: dict[str, str]
    timeout: float
    rules: tuple[Rule, ...]
    traced: bool


class WorkerLost(Exception):
    """A worker ended in the middle of a case, killed by the case or by the system."""


class Worker:
    """A process and the connection to it."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, far = context.Pipe()
        # Not a daemon: those are ended without having ended what they started.
        self.process: BaseProcess = context.Process(target=_work, args=(far, settings))
        self.process.start()
        far.close()

    def stop(self, busy: bool) -> None:
        """End it, and with it what it is running."""
        self.connection.close()
        if busy:
            self.process.terminate()
        self.process.join()


def examine_all(cases: list[Case], jobs: int, settings: Settings) -> Generator[CaseRecord, None, None]:
    """Records in the order in which they are ready.  Closing the iterator ends whatever is running."""
    waiting = deque(cases)
    workers: list[Worker] = []
    busy: dict[Connection, Case] = {}
    try:
        for _ in range(min(jobs, len(cases))):
            worker = Worker(settings)
            workers.append(worker)
            _give(worker.connection, waiting, busy)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                case = busy.pop(ready)
                try:
                    record: CaseRecord = ready.recv()
                except (EOFError, ConnectionResetError):
                    raise WorkerLost(f"{case.name}: killed the process that ran it") from None
                _give(ready, waiting, busy)
                yield record
    finally:
        for worker in workers:
            worker.stop(worker.connection in busy)


def _give(connection: Connection, waiting: deque[Case], busy: dict[Connection, Case]) -> None:
    if waiting:
        busy[connection] = case = waiting.popleft()
        connection.send(case)


def _work(connection: Connection, settings: Settings) -> None:
    """A worker's life: until the connection closes, or SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a Ctrl-C, the parent takes care
    signal.signal(signal.SIGTERM, _leave)
    tree.adopt()
    home = Path(tempfile.mkdtemp(prefix="lxconform-")).resolve()
    home.chmod(0o755)  # a program may become another user
    try:
        runner = Runner(home, settings.env, settings.timeout)
        while True:
            case: Case = connection.recv()
            connection.send(examine(case, runner, settings.rules, settings.traced))
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass  # the parent needs no more
    finally:
        unmount(home)
        shutil.rmtree(home, ignore_errors=True)


def _leave(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing may interrupt the cleaning up
    sys.exit(1)
