"""The waiting files in strace's notation: epoll, timerfd, signalfd and inotify."""

from __future__ import annotations

from syscalls.strace import constants as c
from syscalls.strace import structs as s
from syscalls.strace.calls import Spec, clock
from syscalls.strace.values import (
    Arg,
    Traced,
    array,
    choice,
    fd,
    flags,
    flags_text,
    integer,
    out,
    path,
    pointer,
    signed,
    size,
    struct,
)

# epoll


def _event(events: int, data: int) -> str:
    shown = flags_text(c.EPOLL_EVENTS, events, "EPOLL_")
    return "{" + f"events={shown}, data={{u32={data & 0xFFFFFFFF}, u64={data}}}" + "}"


def _events(call: Traced, addr: int) -> str | None:
    return array(call, addr, call.result or 0, "<IQ", _event)


def _without_event(call: Traced, value: int) -> str:
    return hex(value) if value else "NULL"


def _epoll_ctl(call: Traced) -> tuple[Arg, ...]:
    deletes = signed(call.args[1], 32) == 2
    return fd, choice(c.EPOLL_CTL, "EPOLL_CTL_"), fd, Arg(_without_event) if deletes else struct("<IQ", _event)


events = out(pointer(_events))

# timerfd

itimerspec = struct(
    "<qQqQ",
    lambda a, b, v, n: f"{{it_interval={s.timespec_text(a, b)}, it_value={s.timespec_text(v, n)}}}",
)

EVENTS: dict[str, Spec] = {
    "epoll_create": Spec(integer),
    "epoll_create1": Spec(flags(c.EPOLL_FLAGS, "EPOLL_")),
    "epoll_ctl": Spec(choose=_epoll_ctl),
    "epoll_wait": Spec(fd, events, integer, integer),
    "epoll_pwait": Spec(fd, events, integer, integer, s.sigset(5), size),
    "epoll_pwait2": Spec(fd, events, integer, s.timespec, s.sigset(5), size),
    "timerfd_create": Spec(clock, flags(c.TFD_FLAGS, "TFD_")),
    "timerfd_settime": Spec(fd, flags(c.TFD_SETTIME_FLAGS, "TFD_"), itimerspec, out(itimerspec)),
    "timerfd_gettime": Spec(fd, out(itimerspec)),
    "signalfd": Spec(fd, s.sigset(2), size),
    "signalfd4": Spec(fd, s.sigset(2), size, flags(c.SFD_FLAGS, "SFD_")),
    "inotify_init": Spec(),
    "inotify_init1": Spec(flags(c.IN_INIT_FLAGS, "IN_")),
    "inotify_add_watch": Spec(fd, path, flags(c.IN_EVENTS, "IN_")),
    "inotify_rm_watch": Spec(fd, integer),
}
