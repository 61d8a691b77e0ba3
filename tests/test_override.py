"""A guest's root without the host's (--root-id): owners and modes that are kept aside, as lxrun run by an ordinary user
keeps them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from harness import PROGRAMS, Program, clean_stderr
from somebody import USER, Somebody

from vfs import override

KEY = "user.containers.override_stat"


def kept(path: Path) -> str | None:
    try:
        return os.getxattr(path, KEY, follow_symlinks=False).decode()
    except OSError:
        return None


# The form of the attribute


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"0:0:0755", override.Kept(0, 0, 0o755)),
        (b"1:2:4755:file", override.Kept(1, 2, 0o4755, stat.S_IFREG)),
        (b"5:6:040700", override.Kept(5, 6, 0o700, stat.S_IFDIR)),
        (b"0:0:0644:char-1-3", override.Kept(0, 0, 0o644, stat.S_IFCHR, os.makedev(1, 3))),
        (b"0:0:0600:pipe", override.Kept(0, 0, 0o600, stat.S_IFIFO)),
        (b"4294967294:0:0", override.Kept(4294967294, 0, 0)),
        (b"", None),
        (b"1:2", None),
        (b"1:2:9", None),
        (b"-1:2:7", None),
        (b"4294967295:2:7", None),
        (b"1:2:7:cat", None),
        (b"1:2:7:char-x-y", None),
        (b"1:2:7:char-1", None),
        (b"1:2:7777777", None),
    ],
)
def test_attribute(text: bytes, found: override.Kept | None) -> None:
    assert override.parse(text) == found
    if found is not None and found.kind:
        assert override.parse(override.text(found)) == found


# As a user who is not root


def test_what_the_host_keeps(somebody: Somebody) -> None:
    shown = somebody.sh(
        """
        id -u
        umask 022
        touch plain owned set-id; chown 5:6 owned; chmod 4755 set-id
        mkdir dir; chmod 2750 dir; chown 7:8 dir; touch dir/inner
        mkdir shut; chmod 0 shut; echo secret > closed; chmod 0 closed; cat closed
        mknod null c 1 3; mknod disk b 8 1; mkfifo pipe
        ln -s plain link; chown -h 3:4 link
        chown 9:9 back; chown 0:0 back; chmod 644 back
        stat -c '%n %A %u:%g %t,%T' *
        """.replace("chown 9:9 back", "touch back; chown 9:9 back")
    )
    assert shown.splitlines() == [
        "0",
        "secret",
        "back -rw-r--r-- 0:0 0,0",
        "closed ---------- 0:0 0,0",
        "dir drwxr-s--- 7:8 0,0",
        "disk brw-r--r-- 0:0 8,1",
        "link lrwxrwxrwx 3:4 0,0",
        "null crw-r--r-- 0:0 1,3",
        "owned -rw-r--r-- 5:6 0,0",
        "pipe prw-r--r-- 0:0 0,0",
        "plain -rw-r--r-- 0:0 0,0",
        "set-id -rwsr-xr-x 0:0 0,0",
        "shut d--------- 0:0 0,0",
    ]
    entries = [*somebody.work.iterdir(), somebody.work / "dir/inner"]
    found = {entry.name: (kept(entry), entry.lstat()) for entry in entries}
    assert {name: text for name, (text, _) in found.items() if text is not None} == {
        "closed": "0:0:0000:file",
        "dir": "7:8:2750:dir",
        "disk": "0:0:0644:block-8-1",
        "inner": "0:8:0644:file",
        "null": "0:0:0644:char-1-3",
        "owned": "5:6:0644:file",
        "pipe": "0:0:0644:pipe",
        "set-id": "0:0:4755:file",
        "shut": "0:0:0000:dir",
    }
    # On the host nothing has a right that would mean something there, and all stays accessible for the user
    me = os.geteuid() or USER
    for name, (_, st) in found.items():
        assert st.st_uid == me, name
        assert not st.st_mode & 0o7000, name
        assert stat.S_ISLNK(st.st_mode) or st.st_mode & 0o600 == 0o600, name
    # Another run sees the same
    again = somebody.sh("stat -c '%n %A %u:%g %t,%T' owned dir null pipe; find . -type p; find . -type c")
    assert again.splitlines() == [
        "owned -rw-r--r-- 5:6 0,0",
        "dir drwxr-s--- 7:8 0,0",
        "null crw-r--r-- 0:0 1,3",
        "pipe prw-r--r-- 0:0 0,0",
        "./pipe",
        "./null",
    ]


def test_what_other_tools_wrote(somebody: Somebody) -> None:
    for name, text in {"one": "1:2:0755", "two": "3:4:0100640", "three": "garbage", "four": "0:0:0600:socket"}.items():
        path = somebody.work / name
        path.write_text("x")
        path.chmod(0o644)
        os.setxattr(path, KEY, text.encode())
        os.chown(path, somebody.work.stat().st_uid, somebody.work.stat().st_gid)
    shown = somebody.sh("stat -c '%n %A %u:%g' one two three four")
    assert shown.splitlines() == [
        "one -rwxr-xr-x 1:2",
        "two -rw-r----- 3:4",
        "three -rw-r--r-- 0:0",
        "four srw------- 0:0",
    ]
    # The guest itself neither sees nor changes the attribute
    script = f"import os\nprint(os.listxattr('one'))\nfor f in os.getxattr, os.removexattr: \n try: f('one', '{KEY}')\n"
    script += f" except OSError as e: print(e.errno)\ntry: os.setxattr('one', '{KEY}', b'0:0:0777')\n"
    script += "except OSError as e: print(e.errno)\n"
    done = somebody.run("/usr/bin/python3", "-c", script)
    assert done.stdout.split() == ["[]", "61", "61", "1"], done.stderr


def test_files_whose_mode_keeps_their_owner_out(somebody: Somebody) -> None:
    path, folder = somebody.work / "file", somebody.work / "folder"
    path.write_text("text")
    folder.mkdir()
    (folder / "inner").write_text("inner")
    for entry in (folder / "inner", folder, path):
        os.chown(entry, somebody.work.stat().st_uid, somebody.work.stat().st_gid)
        entry.chmod(0)
    assert somebody.sh("cat file folder/inner; stat -c '%A %u' file folder; echo more >> file") == (
        "textinner---------- 0\nd--------- 0\n"
    )
    assert path.read_text() == "textmore\n"


def test_linux_rules_for_every_user(somebody: Somebody) -> None:
    """The program that looks at rights by capability, natively as root and as an ordinary user's guest root."""
    binary = somebody.work / "dac"
    shutil.copy(Program.read(PROGRAMS / "dac.c").build(), binary)
    guest = somebody.run("./dac", ".")
    assert guest.returncode == 0, guest.stderr
    if os.geteuid():
        return  # only root can be everybody natively
    native_dir = somebody.home / "native"
    native_dir.mkdir()
    native = subprocess.run([binary, "."], cwd=native_dir, capture_output=True, text=True, umask=0o022)

    def comparable(text: str) -> list[str]:  # the host lets nobody but its root keep trusted attributes
        return [line for line in text.splitlines() if "trusted" not in line and "listxattr" not in line]

    assert comparable(guest.stdout) == comparable(native.stdout)
    assert len(comparable(native.stdout)) > 800


def test_without_the_option_nothing_is_kept(somebody: Somebody) -> None:
    done = subprocess.run(
        [word for word in somebody.lxrun if word != "--root-id"] + ["/bin/sh", "-c", "id -u; touch a; chown 5 a"],
        cwd=somebody.work,
        env=somebody.env,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{os.geteuid() or USER}\n"
    assert "Operation not permitted" in clean_stderr(done.stderr.encode(), done.returncode).decode()
    assert kept(somebody.work / "a") is None


# Programs that keep owners: the same natively as root and in an ordinary user's guest

ARCHIVES = r"""
set -e
list() { (cd $1; find . | sort | xargs stat -c '%n %A %u:%g %h %t,%T'); }
mkdir tree; cd tree
mkdir -p a/b c; echo 1 > a/one; echo 2 > a/b/two; ln -s one a/link; ln a/one c/hard
mkfifo c/pipe; mknod c/zero c 1 5; mknod c/disk b 8 1
chown 10:20 a/one; chown -R 30:40 a/b; chmod 2775 a/b; chmod 4711 a/one; chmod 1777 c; chown -h 7:8 a/link
chmod 400 a/b/two
cd ..
tar -cf t.tar --sort=name --mtime=@0 tree; tar --numeric-owner -tvf t.tar
mkdir x; tar -xpf t.tar -C x; list x/tree
cp -a tree y; list y
install -D -o 5 -g 6 -m 4750 tree/a/one z/bin/prog; list z
find . -user 30 | sort; find . -type p | sort; find . -type c | sort; find . -perm -4000 | sort
touch -d @1000 tree/a/one; stat -c '%n %Y' tree/a/one; chmod u+s,g+s tree/a/b/two; stat -c '%A' tree/a/b/two
mkdir p; chown 1:2 p
as() { setpriv --reuid 1 --regid 2 --clear-groups sh -c "$1" || true; }
as 'umask 077; echo x > p/f; chmod 0 p/f; cat p/f; id -u; touch tree/no'
stat -c '%A %u:%g' p/f; cat p/f
as 'rm -f p/f; ls p; rmdir p'
rm -r x y z; ls
"""


def test_archives_and_copies(somebody: Somebody) -> None:
    done = somebody.run("/bin/sh", "-c", "exec 2>&1; " + ARCHIVES)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines().count("./c/zero crw-r--r-- 0:0 1 1,5") == 2
    if os.geteuid() == 0:
        native_dir = somebody.home / "native"
        native_dir.mkdir()
        native = subprocess.run(
            ["/bin/sh", "-c", "exec 2>&1; " + ARCHIVES],
            cwd=native_dir,
            env=somebody.env,
            capture_output=True,
            text=True,
            umask=0o022,
        )
        assert done.stdout.splitlines() == native.stdout.splitlines()
