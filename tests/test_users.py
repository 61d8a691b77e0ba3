"""Programs about users: su and sudo between users of a small root, natively in a chroot and as a guest of somebody who
is not root; programs that lock themselves in with seccomp."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from harness import Pair, require
from somebody import USER, Somebody

LIBRARIES = "/lib/x86_64-linux-gnu"
PROGRAMS = [f"/usr/bin/{name}" for name in "su sudo id cat touch stat env chmod chown mkdir rm".split()]
MODULES = [f"{LIBRARIES}/security/pam_{name}.so" for name in "unix rootok permit deny".split()]
SUDO = [f"/usr/libexec/sudo/{name}" for name in ("sudoers.so", "sudo_noexec.so", "libsudo_util.so.0")]

PAM = """\
auth sufficient pam_rootok.so
auth required pam_unix.so
account required pam_unix.so
session required pam_unix.so
"""
FILES = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
    "bob:x:1001:1001::/home/bob:/bin/sh\n",
    "/etc/group": "root:x:0:\nshadow:x:42:\nalice:x:1000:\nbob:x:1001:\nteam:x:2000:alice,bob\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "/etc/hosts": f"127.0.0.1 localhost {socket.gethostname()}\n",
    "/etc/sudoers": "Defaults !lecture\nroot ALL=(ALL:ALL) ALL\nalice ALL=(bob) NOPASSWD: ALL\nalice ALL=(root) ALL\n",
    **{f"/etc/pam.d/{name}": PAM for name in ("su", "su-l", "sudo", "other")},
}

# What only root can give: natively for real, in the guest kept aside
SET_UP = """
umask 022
chown 0:0 /usr/bin/su /usr/bin/sudo /etc/sudoers
chmod 4755 /usr/bin/su /usr/bin/sudo
chown 0:42 /etc/shadow /usr/sbin/unix_chkpwd
chmod 640 /etc/shadow
chmod 2755 /usr/sbin/unix_chkpwd
chmod 440 /etc/sudoers
chown 1000:1000 /home/alice; chown 1001:1001 /home/bob
chmod 700 /root /home/alice /home/bob; chmod 1777 /tmp
mkdir /team; chown 0:2000 /team; chmod 2770 /team
"""
SESSION = """
id
echo "- root becomes alice"
su alice -c 'id; touch /home/alice/mine; stat -c "%n %A %u:%g" /home/alice/mine; cat /home/bob/x; cat /etc/shadow'
echo "- alice becomes bob by his password"
su alice -c 'echo bob-pw | su bob -c "id; cd; umask 077; echo secret > secret; stat -c \\"%n %A %u:%g\\" secret"'
echo "- and without"
su alice -c 'echo nonsense | su bob -c id'; echo $?
echo "- alice may be bob, and root with her password"
su alice -c 'sudo -n -u bob id; sudo -n id; echo alice-pw | sudo -S -p "" id'
cd /home/bob; su alice -c 'cat secret; echo alice-pw | sudo -S -p "" cat secret; sudo -n -u bob cat secret'; cd /
su alice -c 'echo alice-pw | sudo -S -p "" -u root stat -c "%n %a %U:%G" /etc/shadow /usr/bin/sudo /home/bob /tmp'
su alice -c 'sudo -n -l'
echo "- bob may not"
su bob -c 'echo bob-pw | sudo -S -p "" id'; echo $?
echo "- a directory for the team, and one for everybody"
su alice -c 'echo from alice > /team/a; echo x > /tmp/hers; touch /root/x'
su bob -c 'cat /team/a; stat -c "%A %u:%g" /team/a; rm /tmp/hers; rm -f /team/a; echo $?'
su - bob -c 'env; id' | while read line; do
    case $line in HOME*|USER*|LOGNAME*|SHELL*|PATH*|uid*) echo "$line";; esac
done
"""


def small_root(top: Path) -> None:
    """A root file system of what the host has installed."""
    require("sudo", *SUDO)
    require("libpam-modules", *MODULES)
    require("login", *PROGRAMS)
    require("openssl", "openssl")

    def put(path: str) -> None:
        there = top / path[1:]
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(path), there)
            there.chmod(0o755)

    for path in ["/bin/sh", "/usr/sbin/unix_chkpwd", *PROGRAMS, *MODULES, *SUDO]:
        put(path)
        listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            put(library)
    for path, text in FILES.items():
        (top / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (top / path[1:]).write_text(text)
    lines = ""
    for user in ("root", "alice", "bob"):
        command = ["openssl", "passwd", "-5", "-salt", "saltsalt", f"{user}-pw"]
        hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        lines += f"{user}:{hashed}:19000:0:99999:7:::\n"
    (top / "etc/shadow").write_text(lines)
    for name in "root home/alice home/bob tmp run var/lib dev proc sys".split():
        (top / name).mkdir(parents=True)
    (top / "setup").write_text(SET_UP)
    (top / "session").write_text(SESSION)


def test_su_and_sudo(somebody: Somebody) -> None:
    """Two users of a guest's root: natively in a chroot, and where nobody is root on the host."""
    top = somebody.home / "root"
    small_root(top)
    native: subprocess.CompletedProcess[str] | None = None
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C"}
    if os.geteuid() == 0:
        there = somebody.home / "native"
        shutil.copytree(top, there)
        os.mknod(there / "dev/null", 0o020666, os.makedev(1, 3))
        (there / "dev/null").chmod(0o666)
        for script in ("setup", "session"):
            native = subprocess.run(
                ["chroot", there, "/bin/sh", f"/{script}"],
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                umask=0o022,
            )
        subprocess.run(["chown", "-R", f"{USER}:{USER}", top], check=True)
    somebody.env = {**somebody.env, "PATH": clean["PATH"]}
    options = ["--rootfs", str(top), "--clear-env", *(f"--env={name}={value}" for name, value in clean.items())]
    made = somebody.run("/bin/sh", "/setup", options=options)
    assert made.returncode == 0 and not made.stderr, made.stderr
    guest = somebody.run("/bin/sh", "-c", "exec 2>&1; . /session", options=options)
    assert guest.returncode == 0, guest.stdout
    lines = guest.stdout.splitlines()
    assert lines.count("uid=1001(bob) gid=1001(bob) groups=1001(bob),2000(team)") == 2  # one comes after a prompt
    assert lines.count("uid=0(root) gid=0(root) groups=0(root)") == 2
    assert lines.count("secret") == 2
    assert "bob is not in the sudoers file." in guest.stdout
    assert not (top / "usr/bin/sudo").stat().st_mode & 0o7000
    if native is not None:
        assert lines == native.stdout.splitlines()


# Programs that use seccomp

PAGE = ".TH PAGE 1\n.SH NAME\npage \\- a page\n.SH DESCRIPTION\nWords,\n.B bold\nones too.\n"


def test_man(pair: Pair) -> None:
    """man-db runs its helpers under filters of some hundred instructions."""
    require("man-db", "man")
    pair(["man", "-P", "cat", "./page.1"], prepare=lambda work: (work / "page.1").write_text(PAGE) and None, status=0)


def test_file(pair: Pair) -> None:
    require("file", "file")
    pair(["file", "-b", "/bin/ls", "/etc/passwd", "/usr/bin", "."], status=0)


FILTERS = {
    "errno": """
        f = seccomp.SyscallFilter(seccomp.ALLOW)
        f.add_rule(seccomp.ERRNO(errno.EXDEV), "mkdir", seccomp.Arg(1, seccomp.MASKED_EQ, 0o700, 0o700))
        f.add_rule(seccomp.ERRNO(errno.EBUSY), "mkdirat")
        f.add_rule(seccomp.ERRNO(errno.EDOM), "getpriority", seccomp.Arg(1, seccomp.GT, 0x1_0000_0000))
        f.load()
        for mode in 0o700, 0o300, 0o777:
            try: os.mkdir("d%o" % mode, mode)
            except OSError as e: print(oct(mode), errno.errorcode[e.errno])
            else: print(oct(mode), "made")
        for who in 0, 1, 0x1_0000_0001:
            print(libc.syscall(140, 0, ctypes.c_ulong(who)) >= 0, ctypes.get_errno())
    """,
    "allow": """
        f = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
        for name in ("write", "read", "exit_group", "rt_sigaction", "munmap", "mmap", "brk", "futex", "close", "lseek",
                     "fstat", "newfstatat", "ioctl", "rt_sigprocmask", "madvise", "sigaltstack"):
            f.add_rule(seccomp.ALLOW, name)
        f.load()
        for call in (os.getpid, lambda: os.open(".", 0), os.getppid, lambda: os.write(1, b"written\\n")):
            try: print(call() > 0)
            except OSError as e: print(errno.errorcode[e.errno])
        print(os.getuid())
    """,
    "notify": """
        f = seccomp.SyscallFilter(seccomp.ALLOW)
        f.add_rule(seccomp.NOTIFY, "getpgid")
        f.load()
        pid = os.fork()
        if not pid:
            print(os.getpgid(11), flush=True)
            try: os.getpgid(12)
            except OSError as e: print(errno.errorcode[e.errno], flush=True)
            print(os.getpgid(0) > 0, flush=True)
            os._exit(0)
        for answer in (dict(val=77), dict(error=-errno.EXDEV), dict(flags=1)):
            notice = f.receive_notify()
            print(notice.syscall, notice.syscall_args[0], notice.pid == pid, flush=True)
            f.respond_notify(seccomp.NotificationResponse(notice, **{"val": 0, "error": 0, "flags": 0, **answer}))
        print(os.waitpid(pid, 0)[1])
    """,
}


@pytest.mark.parametrize("name", FILTERS)
def test_libseccomp(pair: Pair, name: str) -> None:
    """Filters as libseccomp makes them, through its Python binding."""
    require("python3-seccomp", "/usr/lib/python3/dist-packages/seccomp.cpython-311-x86_64-linux-gnu.so")
    require("python3", "/usr/bin/python3")
    script = "import os, errno, ctypes, seccomp\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    script += "\n".join(line[8:] for line in FILTERS[name].splitlines())
    pair(["/usr/bin/python3", "-c", script], status=0)
