"""What the agent tells of the program's calls, handed to whoever watches.

A watcher is called in a thread of its own, so that it can ask for memory and wait for the answer while streams and
signals go on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from struct import Struct
from typing import Protocol

LONGEST_READ = 1 << 16

_EVENT = Struct("<IcQ")
_CALL = Struct("<8Q")
_RETURN = Struct("<qQ")
_END = Struct("<4Q")
_GO_ON = Struct("<II")
_READ = Struct("<IIQ")
_REMAIN_STOPPED = 0x100


class Thread:
    """A thread of the guest that something is told of; its memory can be read if it waits."""

    def __init__(self, tid: int, time: int, ask: Callable[[bytes, bytes], bytes]) -> None:
        self.tid = tid
        self.time = time  # nanoseconds
        self._ask = ask

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at `address`.  Raises OSError if not all of them can be read."""
        data = b""
        while len(data) < size:
            step = min(size - len(data), LONGEST_READ)
            piece = self._ask(b"M", _READ.pack(self.tid, step, address + len(data) & (1 << 64) - 1))
            data += piece
            if len(piece) < step:
                raise OSError("bad address")
        return data


class Watcher(Protocol):
    """Who is told."""

    def begin(self, thread: Thread, stack: int) -> None:
        """The program has begun, with its arguments and environment at `stack`."""

    def enter(self, thread: Thread, machine: int, number: int, args: tuple[int, ...]) -> None:
        """A call; `machine` is an AUDIT_ARCH_..., whose numbers and arguments these are."""

    def leave(self, thread: Thread, result: int, mask: int) -> None:
        """It returned `result`; the thread's blocked signals are now `mask`."""

    def signal(self, thread: Thread, signo: int, info: bytes) -> None:
        """A signal is delivered; `info` is its siginfo_t."""

    def stopped(self, thread: Thread, signo: int) -> None:
        """The thread stopped."""

    def replaced(self, thread: Thread, former: int) -> None:
        """Thread `former` ran a program, and goes on as this one."""

    def end(self, thread: Thread, status: int, faults: tuple[int, int], peak: int) -> None:
        """The thread is gone, with this wait(2) status; of its process minor and major faults, most KiB of memory."""


class Trace:
    """The thread that calls a watcher.  `send` hands a message to the agent, from any thread; it raises RuntimeError
    when there is nobody to hand it to."""

    def __init__(self, watcher: Watcher, steps: bool, send: Callable[[bytes, bytes], object]) -> None:
        self.watcher = watcher
        self.steps = steps
        self.send = send
        self.error: Exception | None = None
        self._arrived: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self._later: deque[tuple[bytes, bytes] | None] = deque()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, kind: bytes, payload: bytes) -> None:
        """A message T or M of the agent's."""
        self._arrived.put((kind, payload))

    def finish(self) -> None:
        """Wait until the watcher has been told everything.  Raises what it raised."""
        self._arrived.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        while (message := self._later.popleft() if self._later else self._arrived.get()) is not None:
            if message[0] != b"T":
                continue
            tid, kind, time = _EVENT.unpack_from(message[1])
            body = message[1][_EVENT.size :]
            if self.error is None:
                try:
                    self._tell(Thread(tid, time, self._ask), kind, body)
                except Exception as error:  # the program goes on without being watched; `finish` says so
                    self.error = error
            if self.steps and kind != b"x":
                signo = int.from_bytes(body[:4], "little") if kind == b"s" else 0
                try:
                    self.send(b"G", _GO_ON.pack(tid, _REMAIN_STOPPED if kind == b"p" else signo))
                except RuntimeError:
                    return

    def _tell(self, thread: Thread, kind: bytes, body: bytes) -> None:
        """Tell the watcher of one event."""
        watcher = self.watcher
        match kind:
            case b"e":
                machine, number, *args = _CALL.unpack(body)
                watcher.enter(thread, machine, number, tuple(args))
            case b"l":
                watcher.leave(thread, *_RETURN.unpack(body))
            case b"s":
                watcher.signal(thread, int.from_bytes(body[:4], "little"), body[4:])
            case b"p":
                watcher.stopped(thread, int.from_bytes(body, "little"))
            case b"b":
                watcher.begin(thread, int.from_bytes(body, "little"))
            case b"w":
                watcher.replaced(thread, int.from_bytes(body, "little"))
            case b"x":
                status, minor, major, peak = _END.unpack(body)
                watcher.end(thread, status, (minor, major), peak)

    def _ask(self, kind: bytes, payload: bytes) -> bytes:
        """The agent's answer, of the same kind; nothing if there will be none.  Other messages wait."""
        try:
            self.send(kind, payload)
        except RuntimeError:
            return b""
        while (message := self._arrived.get()) is not None:
            if message[0] == kind:
                return message[1]
            self._later.append(message)
        self._arrived.put(None)
        return b""
