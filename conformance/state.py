"""What an interrupted run had done: a file beside the JSON report, one finished case a line."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import IO

from conformance.record import CaseRecord


class State:
    """The finished cases of a run; only one of the same `plan` (cases, settings) is resumed.

    The first line is the plan's checksum.  A line that was cut short by the interruption does not count.
    """

    def __init__(self, report: Path, *plan: object) -> None:
        self.path = report.with_name(report.name + ".state")
        self._plan = hashlib.sha256(repr(plan).encode(errors="surrogateescape")).hexdigest()
        self._file: IO[str] | None = None

    def resume(self) -> list[CaseRecord]:
        """The cases that need not be run again; from here on `add` adds to them.  Raises OSError."""
        records = self._read()
        # Written anew, so that it ends with a whole line.
        fresh = self.path.with_name(self.path.name + ".new")
        self._file = open(fresh, "w", encoding="utf-8")  # noqa: SIM115  # open until the run is over
        self._file.write(self._plan + "\n")
        for record in records:
            self.add(record)
        os.replace(fresh, self.path)
        return records

    def _read(self) -> list[CaseRecord]:
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []
        if lines[0] != self._plan:
            return []
        return [json.loads(line) for line in lines[1:-1]]  # after the last newline there is nothing, or half a line

    def add(self, record: CaseRecord) -> None:
        assert self._file
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def done(self) -> None:
        """The run is complete and its report written."""
        if self._file:
            self._file.close()
            self.path.unlink()
