"""Runs one program under Qiling, as `qemu-x86_64 PROGRAM` would under qemu-user."""

from __future__ import annotations

import os
import sys


def main() -> None:
    from qiling import Qiling
    from qiling.const import QL_VERBOSE

    machine = Qiling(sys.argv[1:], "/", env=dict(os.environ), verbose=QL_VERBOSE.DISABLED)
    machine.os.path.cwd = os.getcwd()  # else it is /
    machine.run()
    sys.stdout.flush()
    os._exit(machine.os.exit_code or 0)


main()
