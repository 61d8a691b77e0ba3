"""What lxrun was started with: the open descriptors that a guest inherits."""

from __future__ import annotations

import os
from stat import S_IFDIR, S_IFMT
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxrun.options import Options


def inherited_descriptors(options: Options) -> list[int]:
    """The descriptors that the user gave the command, in order.  Called before anything opens a file.

    Those of 0, 1 and 2 that are closed become /dev/null for lxrun itself, so that no file of its own
    takes their numbers; in the guest they are closed.  Directories outside the guest's root are not
    handed on.
    """
    rooted = options.rootfs is not None
    given = []
    for fd in range(3):
        try:
            kind = S_IFMT(os.fstat(fd).st_mode)
            if not (rooted and kind == S_IFDIR):
                given.append(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)
    if options.report_fd is not None:
        os.set_inheritable(options.report_fd, False)
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return given
    for fd in sorted(int(name) for name in names if name.isdigit()):
        try:
            kind = S_IFMT(os.fstat(fd).st_mode)
            if fd > 2 and os.get_inheritable(fd) and not (rooted and kind == S_IFDIR):
                given.append(fd)
        except OSError:
            pass  # the one that listed the directory
    return given
