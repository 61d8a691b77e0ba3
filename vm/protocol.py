"""What lxrun and the agent in the guest say to each other (the other side is agent/).

Over the control port go messages: a length (4 bytes, little-endian), a type (one letter), a payload.

    to the agent     P  is it there? before the order; the agent answers R
                     O  the order: what to run (below)
                     K  a signal's number, one byte: for the program; the agent answers A
                     W  "ROWSxCOLUMNS": the terminal's new size
                     B  1 or 2, one byte: nobody reads this stream any more
                     G  a thread that was told of may go on: its number, and a signal that is delivered (4 bytes
                        each), plus 0x100 if it is stopped and is to remain so
                     M  what is in its memory? a thread's number, size (4 bytes each), address (8)
    from the agent   R  it is ready for an order
                     L  the program is running
                     F  it could not be: a stage, errno (4 bytes), a path and NUL, and for stage x the
                        file's size (8 bytes) and start
                     A  it has passed a signal on
                     B  nobody reads standard input any more
                     Z  the program was stopped by a signal: its number, and how many bytes it had written
                        to 1 and to 2 (8 bytes each)
                     T  an event of a traced thread (below)
                     M  the memory asked for, as far as it can be read
                     X  the program has ended, with this wait(2) status (4 bytes); its files are stored, and
                        what it has printed may still be on its way

An event is a thread's number (4 bytes), a kind (one letter), the machine's time in nanoseconds (8 bytes), and

    b  the program has begun: its stack pointer          s  a signal is delivered: its number (4), siginfo_t
    e  a call: AUDIT_ARCH_..., number, six arguments     p  it is stopped by a signal: its number (4)
    l  the call's result, and the thread's signal mask   w  it goes on in place of a thread that ran a program
    x  its end: a wait(2) status, minor and major page faults, KiB of memory at most

of 8 bytes each where nothing else is said.

Each standard stream has a port, with pieces of a length (4 bytes) and as many bytes; a piece of length 0
is the end.  A reader who is slow holds up his own stream and no other.
"""

from __future__ import annotations

import os
import secrets
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

HEAD = struct.Struct("<Ic")
PIECE = struct.Struct("<I")
STOP = struct.Struct("<3Q")
LONGEST_PIECE = 1 << 16
STAGES = {b"u": "find", b"x": "exec", b"w": "cwd"}


class Stream(StrEnum):
    """What one of the program's standard streams is in the guest."""

    CLOSED = "c"
    NOTHING = "n"  # /dev/null
    PIPE = "p"
    TERMINAL = "t"


class Tracing(StrEnum):
    """What is told of the program's calls."""

    NOTHING = ""
    COUNTS = "c"  # all, and it does not wait
    STEPS = "s"  # all, and whoever makes one waits until it is allowed to go on


@dataclass(frozen=True)
class Volume:
    """A directory of the host's, shown in the guest at `guest`."""

    host: str
    guest: str
    read_only: bool


@dataclass(frozen=True)
class Order:
    """One program to run: everything that execve(2) and the process it is called in have."""

    argv: Sequence[bytes]
    environment: Sequence[bytes]
    root: str
    cwd: bytes
    cwd_wanted: bool  # without this directory nothing is run; else / will do
    uid: int
    gid: int
    groups: Sequence[int]
    umask: int
    streams: tuple[Stream, Stream, Stream]
    window: tuple[int, int] = (0, 0)  # rows, columns
    volumes: Sequence[Volume] = ()
    tracing: Tracing = Tracing.NOTHING
    job_control: bool = False  # whether there is somebody who continues us when we are stopped

    def encoded(self) -> bytes:
        """The payload of O: fields of a letter and a text, each ended by a NUL.

        A machine that was saved and resumed has the time and the random numbers of that moment, so the
        order brings both.
        """
        fields = [b"T%d.%09d" % divmod(time.time_ns(), 10**9), b"R" + secrets.token_bytes(64).hex().encode()]
        fields += [b"V%s %s %s" % volume for volume in self._volumes()]
        fields += [b"A" + word for word in self.argv]
        fields += [b"E" + variable for variable in self.environment]
        fields += [b"U%d" % self.uid, b"G%d" % self.gid, b"K%o" % self.umask]
        fields += [b"g%d" % group for group in self.groups]
        fields.append((b"C" if self.cwd_wanted else b"c") + self.cwd)
        fields.append(b"S" + "".join(self.streams).encode())
        fields.append(b"W%dx%d" % self.window)
        if self.job_control:
            fields.append(b"J")
        if self.tracing:
            fields.append(b"D" + self.tracing.encode())
        return b"".join(field + b"\0" for field in fields)

    def _volumes(self) -> list[tuple[bytes, bytes, bytes]]:
        return [
            (volume_tag(index).encode(), b"r" if volume.read_only else b"w", os.fsencode(volume.guest))
            for index, volume in enumerate(self.volumes)
        ]


def volume_tag(index: int) -> str:
    """The name by which the guest mounts a volume."""
    return f"volume{index}"


def message(kind: bytes, payload: bytes = b"") -> bytes:
    """A message as it goes over the control port."""
    return HEAD.pack(len(payload), kind) + payload


def failure(payload: bytes) -> tuple[bytes, int, bytes, int, bytes]:
    """F's payload: stage, errno, path, size and start of the file."""
    stage, number = payload[:1], int.from_bytes(payload[1:5], "little")
    path, _, rest = payload[5:].partition(b"\0")
    return stage, number, path, int.from_bytes(rest[:8], "little"), rest[8:]
