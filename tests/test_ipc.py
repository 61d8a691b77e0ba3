"""System V IPC as its tools show it, and where objects outlive processes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness import Pair, require, run

# What is listed depends on what else the host has: only the line of the object just made is looked at.
TOOLS = r"""
line() { ipcs "$1" | awk -v id="$2" '$2 == id { $1 = "key"; $2 = "id"; print }'; }
detail() {
    ipcs "$1" -i "$2" | sed 's/[A-Z][a-z][a-z] [A-Z].*/DATE/; s/[ms][hes][mgqi]*id=[0-9]*/id/; s/cpid=[0-9]*/cpid/'
}
for kind in m:-M:5000 s:-S:3 q:-Q:; do
    option=-${kind%%:*}
    make=${kind#*:}
    id=$(ipcmk ${make%%:*} ${make#*:} -p 0640 | sed 's/.* //')
    line $option $id
    detail $option $id
    ipcs $option -t | awk -v id="$id" '$1 == id { print $2, NF }'
    ipcs $option -p | awk -v id="$id" '$1 == id { print $2, NF }'
    ipcs $option -c | awk -v id="$id" '$1 == id { $1 = "id"; print }'
    ipcrm $option $id
    ipcrm $option $id 2>&1 | sed 's/[0-9][0-9]*/ID/'
    line $option $id
done
ipcs -l
ipcs -m -i 123456 2>&1
for name in shmmax shmall shmmni sem msgmax msgmnb msgmni shm_next_id sem_next_id msg_next_id; do
    echo $name $(cat /proc/sys/kernel/$name)
done
"""


def test_ipcs_ipcmk_and_ipcrm(pair: Pair) -> None:
    require("util-linux", "ipcs", "ipcmk", "ipcrm")
    pair(["/bin/sh", "-c", TOOLS], status=0)


PERL = r"""
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_RMID SETALL GETALL SEM_UNDO);
my $shm = shmget(IPC_PRIVATE, 100, IPC_CREAT | 0600) // die "shmget: $!";
my $sem = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600) // die "semget: $!";
my $msg = msgget(IPC_PRIVATE, IPC_CREAT | 0600) // die "msgget: $!";
semctl($sem, 0, SETALL, pack("s*", 0, 4)) // die "semctl: $!";
if (!fork) {
    semop($sem, pack("s3", 0, -1, SEM_UNDO)) or die "semop: $!";
    shmread($shm, my $text, 0, 5) or die "shmread: $!";
    msgsnd($msg, pack("l! a*", 3, "$text, world"), 0) or die "msgsnd: $!";
    exit 0;
}
shmwrite($shm, "hello", 0, 5) or die "shmwrite: $!";
semop($sem, pack("s3", 0, 1, 0)) or die "semop: $!";
msgrcv($msg, my $got, 100, -5, 0) or die "msgrcv: $!";
wait;
semctl($sem, 0, GETALL, my $values) // die "semctl: $!";
print join(" ", unpack("l! a*", $got), unpack("s*", $values)), "\n";
shmctl($shm, IPC_RMID, 0), semctl($sem, 0, IPC_RMID, 0), msgctl($msg, IPC_RMID, 0);
"""


def test_perl_uses_all_three(pair: Pair) -> None:
    require("perl", "perl")
    pair(["/usr/bin/perl", "-e", PERL], status=0)


HOARD = r"""
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_NOWAIT);
my ($queues, $text) = (0, pack("l! a*", 1, "x" x 8000));
while (1) {
    my $queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600) // last;
    $queues++;
    msgsnd($queue, $text, IPC_NOWAIT) or last for 1 .. 2;
    last if $!{ENOMEM};
}
print "messages: $!, ", $queues < 1000 ? "soon" : "late", "\n";
my $arrays = 0;
$arrays++ while defined semget(IPC_PRIVATE, 32000, IPC_CREAT | 0600);
print "semaphores: $!, ", $arrays < 100 ? "soon" : "late", "\n";
my $segments = 0;
for (1 .. 100) {
    my $segment = shmget(IPC_PRIVATE, 8 << 20, IPC_CREAT | 0600) // last;
    $segments++;
}
print "memory: $!, ", $segments < 10 ? "soon" : "late", "\n";
"""


def test_what_guests_make_the_kernel_keep_is_bounded(tmp_path: Path) -> None:
    require("perl", "perl")
    argv = ["/usr/bin/perl", "-MErrno", "-e", HOARD]
    done = run(argv, tmp_path / "work", under_lxrun=True, options=("--memory", "64M"))
    lines = [f"{what}: Cannot allocate memory, soon\n" for what in ("messages", "semaphores", "memory")]
    assert done.stdout.decode() == "".join(lines), done.stderr


# Not natively: the limits are the whole host's.
LIMITS = r"""
exec 2>&1
cd /proc/sys
echo 100 > kernel/shmmax || exit
cat kernel/shmmax
ipcmk -M 200
ipcmk -M 100 | sed 's/[0-9]*$/ID/'
echo 10 20 30 2 > kernel/sem
cat kernel/sem
ipcmk -S 11
ipcmk -S 10 | sed 's/[0-9]*$/ID/'
ipcmk -S 10 | sed 's/[0-9]*$/ID/'
ipcmk -S 1
echo 70000 > kernel/shm_next_id
ipcmk -M 1
for bad in nonsense -1 99999999; do echo $bad > kernel/shmmni; done
echo 5 > fs/mqueue/msg_max
cat fs/mqueue/msg_max fs/aio-max-nr fs/aio-nr
"""
LIMITED = """\
100
ipcmk: create share memory failed: Invalid argument
Shared memory id: ID
10	20	30	2
ipcmk: create semaphore failed: Invalid argument
Semaphore id: ID
Semaphore id: ID
ipcmk: create semaphore failed: No space left on device
Shared memory id: 70000
echo: write error
echo: write error
echo: write error
5
65536
0
"""


def test_root_sets_limits(tmp_path: Path) -> None:
    require("util-linux", "ipcmk")
    done = run(["/bin/bash", "-c", LIMITS], tmp_path / "work", under_lxrun=True)
    text = re.sub(r".*(echo: write error).*", r"\1", done.stdout.decode())
    if os.getuid():
        assert "Permission denied" in text
    else:
        assert text == LIMITED
