"""The seam for work at the entry of system calls: who has it, and what an answer does."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from harness import ROOT, compile_program

GUEST = r"""
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void ask(const char *who) {
    errno = 0;
    int group = getpgid(0), refused = errno;
    struct timespec now;
    printf("%s: %d %d, %d, %d, %d\n", who, group, refused, getppid() == 4242, getuid() == 77,
           clock_gettime(CLOCK_MONOTONIC, &now));
    fflush(stdout);
}

int main(void) {
    ask("parent");
    if (!fork()) { ask("child"); return 0; }
    wait(0);
    ask("parent");
    printf("%d\n", umask(0));
    return 0;
}
"""

# A filter for the program and its children: getpgid fails, getppid is decided later, getuid waits and is then
# another call with another argument; everything else is counted.
DRIVER = """
import errno, os, sys
from kernel import entry
from lxrun import machine
from lxrun.options import parse

seen = []

def filter(task):
    name = task.kernel.calls.names[task.kernel.call_number()]
    seen.append(name)
    if name == "getpgid":
        return -errno.EPERM
    if name == "getppid":
        return later(task, 4242)
    if name == "getuid":
        return later(task, None)

async def later(task, answer):
    await task.wait(timeout_ns=1000)
    if answer is None:
        task.call_number = task.kernel.arch_calls["umask"]
        task.kernel.cpu.write({"rdi": 77})
        await entry.make(task)
    return answer

class Machine(machine.Machine):
    def exec(self, task):
        super().exec(task)
        kernel = self.kernel
        kernel.arch_calls = {name: number for number, name in kernel.calls.names.items()}
        kernel.secure_computing = filter
        if FILTERED:
            kernel.set_syscall_work(task, entry.SECCOMP, True)

os.umask(18)
machine.Machine = Machine
status = machine.run(parse(sys.argv[1:]), [0, 1, 2])
print(*(seen.count(name) for name in ("getpgid", "getppid", "getuid")), status, flush=True)
"""


@pytest.mark.parametrize("options", [[], ["--strace", "-o", "/dev/null"]])
@pytest.mark.parametrize("filtered", [True, False])
def test_answers(tmp_path: Path, options: list[str], filtered: bool) -> None:
    source = tmp_path / "asks.c"
    source.write_text(GUEST)
    program = compile_program(source)
    script = textwrap.dedent(DRIVER).replace("FILTERED", str(filtered))
    done = subprocess.run(
        [sys.executable, "-c", script, *options, str(program)], cwd=ROOT, capture_output=True, text=True
    )
    answers = "-1 1, 1, 1, 0" if filtered else "1 0, 0, 0, 0"
    counts = "3 3 3" if filtered else "0 0 0"
    umask = 77 if filtered else 18
    expected = f"parent: {answers}\nchild: {answers}\nparent: {answers}\n{umask}\n{counts} 0\n"
    assert (done.stdout, done.stderr) == (expected, "")
