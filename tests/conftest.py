"""Shared set-up of the test suite."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# The house's packages, for a checkout that is not installed; the harness for the tests beside it.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import harness  # noqa: E402
from somebody import Somebody  # noqa: E402

from vfs import fscred  # noqa: E402

# Ctrl-C is tested, also where pytest itself is to ignore it, as a shell's background job is.
for ignored, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, default)


@pytest.fixture(autouse=True)
def own_rights() -> Iterator[None]:
    """A test may run a guest's setuid(2) in this process, which makes the host check rights accordingly."""
    yield
    fscred.override_creds(fscred.OURSELVES)


@pytest.fixture
def somebody() -> Iterator[Somebody]:
    with tempfile.TemporaryDirectory(prefix="lxrun-") as home:
        os.chmod(home, 0o755)  # pytest's own directories are closed to other users
        yield Somebody(Path(home))


@pytest.fixture
def pair(tmp_path: Path) -> harness.Pair:
    """Runs one command natively and under lxrun and compares them."""
    return harness.Pair(tmp_path)


@pytest.fixture(scope="session")
def vm_cache() -> Iterator[dict[str, str]]:
    """The environment in which lxrun finds a kernel: `lxvm setup` has fetched it, once for all workers."""
    cache = harness.BUILD / "vm-cache"
    harness.require("busybox-static", "/bin/busybox")
    harness.require("qemu-system-x86", "/usr/bin/qemu-system-x86_64")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(harness.ROOT), "XDG_CACHE_HOME": str(cache)}
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-c", "from vm.cli import entry; entry()", "setup"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    yield environment
