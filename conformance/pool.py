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

import lxrun
from conformance import tree
from conformance.judge import examine, lost
from conformance.record import CaseRecord
from conformance.rules import Rule
from conformance.run import Against, Runner, Side, unmount
from conformance.suite import Case


@dataclass(frozen=True, slots=True)
class Settings:
    """What all cases have in common."""

    env: dict[str, str]
    timeout: float
    rules: tuple[Rule, ...]
    traced: bool
    against: Against = "native"
    named: bool = False


class Worker:
    """A process, the connection to it, and the directory in which it runs its cases."""

    def __init__(self, settings: Settings) -> None:
        self.case: Case | None = None
        self.side: Side = "reference"  # that it is running the case on
        self.home = Path(tempfile.mkdtemp(prefix="lxconform-")).resolve()
        self.home.chmod(0o755)  # a program may become another user
        context = multiprocessing.get_context("spawn")
        self.connection, far = context.Pipe()
        # Not a daemon: those are ended without having ended what they started.
        self.process: BaseProcess = context.Process(target=_work, args=(far, self.home, settings))
        self.process.start()
        far.close()

    def give(self, waiting: deque[Case]) -> None:
        """Have it examine the next case, if there is one."""
        self.case = waiting.popleft() if waiting else None
        if self.case:
            self.connection.send(self.case)

    def take(self) -> CaseRecord | None:
        """The record of its case; None if it has only begun with another side.  Raises EOFError if it is lost."""
        try:
            said: CaseRecord | Side = self.connection.recv()
        except ConnectionResetError:
            raise EOFError from None
        if isinstance(said, str):
            self.side = said
            return None
        return said

    def stop(self) -> None:
        """End it, and with it what it is running."""
        self.connection.close()
        if self.case:
            self.process.terminate()
        self.process.join()
        shutil.rmtree(self.home, ignore_errors=True)


def examine_all(cases: list[Case], jobs: int, settings: Settings) -> Generator[CaseRecord, None, None]:
    """Records in the order in which they are ready.  Closing the iterator ends whatever is running.

    A case that kills its worker has its verdict, and a new worker goes on.
    """
    tree.adopt()  # what a lost worker leaves behind
    waiting = deque(cases)
    workers: dict[Connection, Worker] = {}
    try:
        for _ in range(min(jobs, len(cases))):
            worker = Worker(settings)
            workers[worker.connection] = worker
        kept = set(tree.children())
        for worker in workers.values():
            worker.give(waiting)
        while busy := [worker.connection for worker in workers.values() if worker.case]:
            for ready in wait(busy):
                assert isinstance(ready, Connection)
                worker = workers[ready]
                assert worker.case
                try:
                    record = worker.take()
                except EOFError:
                    del workers[ready]
                    record = lost(worker.case, worker.side)
                    worker.stop()
                    tree.clear(kept)
                    worker = Worker(settings)
                    workers[worker.connection] = worker
                    kept.add(worker.process.pid or 0)
                if record:
                    worker.give(waiting)
                    yield record
    finally:
        for worker in workers.values():
            worker.stop()


def _work(connection: Connection, home: Path, settings: Settings) -> None:
    """A worker's life: until the connection closes, or SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a Ctrl-C, the parent takes care
    signal.signal(signal.SIGTERM, _leave)
    tree.adopt()
    try:
        lxrun.preload()
        runner = Runner(home, settings.env, settings.timeout, settings.against)
        while True:
            case: Case = connection.recv()
            connection.send(examine(case, runner, settings.rules, settings.traced, settings.named, connection.send))
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass  # the parent needs no more
    finally:
        unmount(home)
        shutil.rmtree(home, ignore_errors=True)  # also where the parent was killed


def _leave(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing may interrupt the cleaning up
    sys.exit(1)
