"""AVX instructions are refused, not taken for others.

Unicorn 2.1.4 knows the encoding with a VEX prefix for the sake of BMI.  What follows it decodes as it would
without: of `vaddps %xmm1,%xmm2,%xmm3` it makes `addps %xmm1,%xmm3`, and a program that uses AVX without asking for
it computes nonsense in silence.  All of BMI is in the opcode maps 2 and 3, which take the long form of the prefix
to reach, and AVX does little without map 1: moving data is there.  So in the one build whose code is known, the
decoder is made to refuse map 1 after a VEX prefix, by the way it refuses what it does not know.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from emu.host import PORTABLE, rewrite_code

LIBRARY_SIZE = 24507432  # of libunicorn.so.2 in the wheel for manylinux, x86-64; bytes
# Behind `uc_emu_start`, in the function disas_insn: what is there, and what is to be.
_REFUSE = 0xA03F0, bytes.fromhex("488b1c24be06000000488b5338"), None  # gen_exception(EXCP06_ILLOP)
_SHORT_FORM = (  # the jump for the prefix 0xc5
    0xA0935, bytes.fromhex("4181fac50000000f843c0f0000"), bytes.fromhex("4181fac50000000f84aefaffff"),
)  # fmt: skip
_MAP_1 = (  # the jump for maps that there are not, behind 0xc4
    0xA09AE, bytes.fromhex("3c010f853afaffff"), bytes.fromhex("3c0190e93afaffff"),
)  # fmt: skip


def refuse_avx(library: Any) -> bool:
    """Have `libunicorn` refuse AVX, in this process; False if this is another build or the host does not allow it."""
    try:
        if PORTABLE or os.stat(library._name).st_size != LIBRARY_SIZE:
            return False
    except (OSError, TypeError):
        return False
    base = ctypes.cast(library.uc_emu_start, ctypes.c_void_p).value
    if base is None:
        return False
    return rewrite_code([(base + offset, before, after) for offset, before, after in (_REFUSE, _SHORT_FORM, _MAP_1)])
