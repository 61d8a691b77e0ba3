"""A program in a terminal of its own, and the screen it draws: for tests that compare what a user would see."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pyte
from harness import LXRUN, environment

ROWS, COLUMNS = 24, 80
PATIENCE = 40.0  # seconds until a screen must have come
NATIVE_PATIENCE = 30.0
QUIET = 0.4  # seconds without output after which a native screen is taken to be complete

Picture = tuple[str, tuple[int, int]]
"""The text of a screen, and the place of the cursor."""


@dataclass(frozen=True)
class Step:
    """Something the user does, and what then appears.  `keys` is typed; or the terminal gets another `size`.
    `until` is somewhere on the screen when the native program is done; "" for its end."""

    keys: str = ""
    until: str = ""
    size: tuple[int, int] | None = None


class Emulator(pyte.Screen):  # type: ignore[misc]
    """pyte's, which takes xterm's private sequences that end in m for colours."""

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        if not private:
            super().select_graphic_rendition(*attributes)


class Screen:
    """The program and a terminal emulator.  `hide` makes equal what differs from run to run."""

    def __init__(self, argv: Sequence[str], cwd: Path, prefix: Sequence[str], hide: Callable[[str], str]) -> None:
        self.hide = hide
        self.screen = Emulator(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        env = environment({"TERM": "xterm", "PS1": "$ ", "HISTFILE": "", "SHELL": "/bin/sh"})
        command, *args = [*prefix, *argv]
        self.child = pexpect.spawn(command, args, cwd=str(cwd), env=env, dimensions=(ROWS, COLUMNS), echo=True)
        self.child.delaybeforesend = None
        self.ended = False

    def do(self, step: Step) -> None:
        if step.size is not None:
            self.child.setwinsize(*step.size)
            self.screen.resize(*step.size)
        if step.keys:
            self.child.send(step.keys)

    def feed(self, seconds: float) -> bool:
        """Take in what comes within some time; whether anything did."""
        try:
            data = self.child.read_nonblocking(1 << 16, seconds)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            self.ended = True
            return False
        self.stream.feed(data)
        return True

    def picture(self) -> Picture:
        text = "\n".join(line.rstrip() for line in self.screen.display).rstrip()
        return self.hide(text), (self.screen.cursor.y, self.screen.cursor.x)

    def settle(self, until: str) -> Picture:
        """The screen once `until` is on it and nothing more comes."""
        end = time.monotonic() + NATIVE_PATIENCE
        while not self.ended:
            more = self.feed(QUIET)
            if not more and until and until in self.picture()[0]:
                break
            assert time.monotonic() < end, f"no {until!r} on\n{self.picture()[0]}"
        assert not until or until in self.picture()[0], f"no {until!r} on\n{self.picture()[0]}"
        return self.picture()

    def settle_on(self, text: str) -> str:
        """The screen as soon as `text` is on it, however it goes on."""
        end = time.monotonic() + PATIENCE
        while text not in self.picture()[0]:
            assert time.monotonic() < end and not self.ended, f"no {text!r} on\n{self.picture()[0]}"
            self.feed(0.2)
        return self.picture()[0]

    def reaches(self, wanted: Picture, ended: bool) -> None:
        """Wait until the screen is as wanted."""
        end = time.monotonic() + PATIENCE
        while self.picture() != wanted or (ended and not self.ended):
            if time.monotonic() > end or (self.ended and not ended):
                what = "the program has ended" if self.ended and not ended else "in time"
                raise AssertionError(f"{what}, wanted\n{shown(wanted)}\nis\n{shown(self.picture())}")
            self.feed(0.2)

    def close(self) -> int:
        """The exit status; the program is ended if it still runs."""
        if not self.ended:
            self.child.kill(signal.SIGKILL)
        self.child.wait()
        self.child.close()
        return self.child.exitstatus if self.child.exitstatus is not None else 128 + (self.child.signalstatus or 0)


def compare(
    argv: Sequence[str],
    steps: Sequence[Step],
    place: Callable[[], Path],
    hide: Callable[[str], str] = lambda text: text,
) -> None:
    """Run a program natively, then under lxrun: after each step the screens must be the same, and at the end the
    exit status and the files in the directory that `place` makes."""
    pictures = []
    directory = place()
    native = Screen(argv, directory, [], hide)
    try:
        for step in steps:
            native.do(step)
            pictures.append(native.settle(step.until))
    finally:
        status = native.close()
    left = files(directory)
    directory = place()
    guest = Screen(argv, directory, LXRUN, hide)
    try:
        for step, picture in zip(steps, pictures, strict=True):
            guest.do(step)
            guest.reaches(picture, not step.until)
    finally:
        own_status = guest.close()
    assert (own_status, files(directory)) == (status, left)


def shown(picture: Picture) -> str:
    return f"{picture[0]}\ncursor {picture[1]}"


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def numbers(*patterns: str) -> Callable[[str], str]:
    """Hides the numbers in what matches: of processes, which differ."""

    def hide(text: str) -> str:
        for pattern in patterns:
            text = re.sub(pattern, lambda found: re.sub(r"\d+", "N", found[0]), text)
        return text

    return hide
