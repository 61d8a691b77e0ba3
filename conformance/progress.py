"""A bar on the terminal while a suite runs; on anything else, silence."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from conformance.record import GOOD, CaseRecord

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """Counts cases: `done` of `total` at first, one more for each `advance`."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done, self._odd = total, done, 0
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            try:
                from rich import progress
                from rich.console import Console
            except ModuleNotFoundError:  # it comes with the extra "conformance"
                return self
            self._bar = progress.Progress(
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=self._total, completed=self._done)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, record: CaseRecord) -> None:
        self._odd += record["verdict"] not in GOOD
        if self._bar:
            self._bar.update(self._task, advance=1, description=f"{self._odd} not the same; {record['name'][:40]}")
