"""What a ring may be used for: Linux's ``struct io_restriction``."""

from __future__ import annotations

import errno

from kernel.io_uring.uapi import IORING_OP_LAST, IORING_REGISTER_LAST, Sqe

(
    IORING_RESTRICTION_REGISTER_OP, IORING_RESTRICTION_SQE_OP, IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
    IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
) = range(4)  # fmt: skip


class Restrictions:
    """Bit sets of what is allowed."""

    __slots__ = ("flags_allowed", "flags_required", "operations", "registrations")

    def __init__(self) -> None:
        self.registrations = 0
        self.operations = 0
        self.flags_allowed = 0
        self.flags_required = 0

    def add(self, kind: int, value: int) -> None:
        """One line of IORING_REGISTER_RESTRICTIONS.  Raises OSError(EINVAL)."""
        if kind == IORING_RESTRICTION_REGISTER_OP and value < IORING_REGISTER_LAST:
            self.registrations |= 1 << value
        elif kind == IORING_RESTRICTION_SQE_OP and value < IORING_OP_LAST:
            self.operations |= 1 << value
        elif kind == IORING_RESTRICTION_SQE_FLAGS_ALLOWED:
            self.flags_allowed = value
        elif kind == IORING_RESTRICTION_SQE_FLAGS_REQUIRED:
            self.flags_required = value
        else:
            raise OSError(errno.EINVAL, "no such restriction")

    def may_register(self, opcode: int) -> bool:
        return bool(self.registrations >> opcode & 1)

    def check(self, sqe: Sqe) -> None:
        """io_check_restriction.  Raises OSError(EACCES)."""
        required = self.flags_required
        if (
            not self.operations >> sqe.opcode & 1
            or sqe.flags & required != required
            or sqe.flags & ~(self.flags_allowed | required)
        ):
            raise OSError(errno.EACCES, "the ring is restricted")
