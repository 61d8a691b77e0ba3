"""An ordinary user of the host who runs lxrun, for tests that are run by root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from harness import ROOT, require

USER = 4000
PACKAGES = ("emu", "kernel", "lxrun", "syscalls", "vfs")


class Somebody:
    """An ordinary user of the host with a directory of theirs, who can run lxrun.  Where the tests run as an ordinary
    user, that one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir()
        self.prefix: list[str] = []
        paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        python = sys.executable
        if os.geteuid() == 0:
            require("util-linux", "setpriv")
            require("python3", "/usr/bin/python3")
            self.prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            os.chown(self.work, USER, USER)
            python = "/usr/bin/python3"
            paths = [self.reachable(path) for path in dict.fromkeys(paths)]
        self.lxrun = [*self.prefix, python, "-B", "-m", "lxrun", "--root-id"]
        self.env = {
            "PYTHONPATH": os.pathsep.join(paths),
            "HOME": str(self.work),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def reachable(self, path: str) -> str:
        """A directory of Python packages that others may read: a copy if the path is not."""
        if subprocess.run([*self.prefix, "ls", path], capture_output=True).returncode == 0:
            return path
        copy = self.home / f"python{len(list(self.home.iterdir()))}"
        for name in PACKAGES if path == str(ROOT) else os.listdir(path):
            source = Path(path, name)
            if source.is_dir():
                shutil.copytree(source, copy / name)
            else:
                copy.mkdir(exist_ok=True)
                shutil.copy(source, copy)
        return str(copy)

    def run(self, *argv: str, options: Sequence[str] = (), stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a guest as root of the host's files, in the user's directory."""
        return subprocess.run(
            [*self.lxrun, *options, *argv],
            cwd=self.work,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            umask=0o022,
        )

    def sh(self, script: str) -> str:
        done = self.run("/bin/sh", "-ec", script)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout
