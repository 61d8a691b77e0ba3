"""Layouts of structures in guest memory that are the same on every 64-bit little-endian Linux.

Those that differ between architectures are in ``emu/arch``.  Sources: the kernel's uapi headers.
"""

from __future__ import annotations

from struct import Struct

U32 = Struct("<I")

# Identity and information: linux/capability.h, linux/utsname.h, linux/sysinfo.h, linux/resource.h, linux/times.h

CAP_HEADER = Struct("<Ii")  # version, pid
CAP_DATA = Struct("<III")  # effective, permitted, inheritable
UTSNAME = Struct("<65s65s65s65s65s65s")
SYSINFO = Struct("<q3QQQQQQQH6xQQI4x")
RUSAGE = Struct("<18q")
TMS = Struct("<4q")
RLIMIT = Struct("<QQ")
SCHED_ATTR = Struct("<IIQiIQQQII")  # linux/sched/types.h, SCHED_ATTR_SIZE_VER1
TIMESPEC_PAIR = Struct("<qq")

# Time and signals: linux/time_types.h, linux/timex.h, asm-generic/signal.h

TIMESPEC = Struct("<qq")  # also struct timeval
ITIMERVAL = ITIMERSPEC = Struct("<qqqq")  # interval, value
TIMEZONE = Struct("<ii")
TIMEX = Struct("<I4x4qi4x3q2qqqqi4x5qi44x")
SIGSET = Struct("<Q")
STACK = Struct("<Qi4xQ")  # stack_t: base, flags, size

# Files: asm-generic/statfs.h, linux/stat.h, linux/openat2.h

STATFS = Struct("<7QQ3Q32x")
USTAT = Struct("<i4xQ12x4x")  # struct ustat: f_tfree, f_tinode, two names that are empty
STATX = Struct("<IIQIIIH2xQQQQqI4xqI4xqI4xqI4xIIIIQII96x")
OPEN_HOW = Struct("<QQQ")
TIMEVAL_PAIR = Struct("<qqqq")  # two timevals or timespecs
SECCOMP_NOTIF_SIZES = Struct("<3H")
UTIMBUF = Struct("<qq")
DIRENT = Struct("<QqH")  # struct linux_dirent: d_ino, d_off, d_reclen, then the name
DIRENT64 = Struct("<QqHB")  # with d_type before the name
