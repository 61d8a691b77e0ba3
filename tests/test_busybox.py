"""Every applet of Debian's busybox-static that can be run twice, natively and under lxrun."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import inputs
import pytest
from harness import Pair, require

BUSYBOX = "/bin/busybox"

# Applet and arguments, one run a line, in a directory filled by `inputs.small` and `archives`.
RUNS = r"""
[ -d tree ]
[ 3 -gt 5 ]
[[ -n text ]]
ar -t lib.a
ar -p lib.a a.txt
arch
ascii
ash -c 'x=5; while [ $x -gt 0 ]; do x=$((x-1)); echo $x; done; echo ${HOME:+set} "$@"' name one two
ash -c 'set -e; f() { local a=$1; echo "$a" "${a%c}" "${#a}"; }; f abc; false; echo unreached'
ash -c 'read a b; echo "$b|$a"; cd tree; pwd; umask; echo *; [ -x script.sh ] && echo x; exec 3<a.txt; read l <&3; echo $l'
ash -c 'trap "echo trapped" USR1; kill -USR1 $$; trap "echo bye" EXIT; printf "%s %d\n" a 5; exit 4'
ash -c 'kill -TERM $$'
ash -c 'case abc in a*) echo glob;; esac; cat_me() { while read -r l; do echo "<$l>"; done; }; cat_me < left; echo > out done; . ./sourced'
awk '{n += NF; w[$1]++} END {print n, NR; for (k in w) m++; print m}' text
awk -F , 'NR > 1 {s += $3} END {printf "%.3f %s\n", s / 7, toupper(substr("kernel", 2))}' table.csv
awk 'BEGIN {while ((getline l < "left") > 0) n++; print n; for (i = 0; i < 30000; i++) x = (x * 31 + i) % 65521; print x}'
base64 text
base64 -w 20 binary
base64 -d text64
basename /a/b/c.txt .txt
bc -l
bunzip2 -k packed.bz2
bunzip2 -c packed.bz2
bzcat packed.bz2
bzip2 -k text
bzip2 -9 -c binary
cal 2 2024
cal -y 1752
cat text binary
cat -n text missing
cat -A latin tabs
chgrp 12 text tree
chmod u=rw,g=,o+x text
chmod -R 700 tree
chown -R 5:6 tree
chown -h 7 tree/dangling
chroot tree /missing
clear
cmp text changed
cmp -l text changed
cp -a tree copied
cp text new
cp -l text hard
cp -s text soft
cp missing nowhere
cpio -t -F tree.cpio
cpio -i -d -m -F tree.cpio
crc32 text binary
cut -d , -f 2-3 table.csv
cut -c 1-5,8 text
date -u -d @1234567890 +%c
date -d '2024-02-29 12:34:56' +%s_%j_%u_%V
date -r text -R
dc -e '2 100 ^ p 40 k 2 v p'
dd if=binary of=out bs=700 count=9 skip=2 seek=1 status=none
dd if=text conv=swab bs=64 count=4
df --help
diff text changed
diff -u text changed
diff -r tree tree/deep
dirname /a/b/c
dos2unix dos
dumpleases -f empty
du -a -k tree
du -s tree/deep
echo -e 'a\tb\0101\c' ignored
ed text
egrep -c 'cpu|tlb' text
env -i A=1 busybox env
env -u HOME
expand -t 5 tabs
expr 6 * 7
expr abc : a.*
expr 1 / 0
factor 2 97 1234567890 18446744073709551557
fallocate -l 50000 filled
fallocate -o 1000 -l 100 text
false
fdisk -l image
fgrep kernel text
find tree
find . -name '*.txt' -type f
find tree -type l -print0
find tree -perm 755 -o -size +5k
find tree -depth -mindepth 1
fold -w 40 long
fold -s -w 30 text
getopt -o ab:c -l long,arg: -- -a -b value --long rest --arg=x
grep -n kernel text changed
grep -E -o -i '(the|a) [a-z]+' text
grep -v -c e text
grep -r -l kernel tree/deep
grep nothing_here text
groups
gunzip -c packed.gz
gunzip packed.gz
gzip -c binary
gzip -9 text
head -n 3 text changed
head -c 77 binary
hexdump -C binary
hexdump -e '4/4 "%08x " "\n"' -n 64 binary
hostid
hostname
id
id -u -n
ipcalc -b -n -m 192.168.5.77/20
kill -l
kill -l 11
less text
link text hard
linux32 busybox uname -m
linux64 busybox uname -m
ln -s text soft
ln text hard
ln text changed
logname
ls
ls -la tree
ls -R1F --color=never tree
ls -lrtn
ls missing
lzcat packed.lzma
lzma -d -k packed.lzma
lzop -c text
md5sum text binary
md5sum -c sums.md5
mkdir -p -m 750 new/deep
mkdir text
mke2fs image
mkfifo -m 600 pipe
mknod null c 1 3
mkpasswd -m sha512 -S saltsalt password
mkpasswd -m md5 -S saltsalt password
more text
mv text moved
mv tree elsewhere
mv missing x
nl -b a text
nproc --ignore=64
nuke tree
od -A x -t x1 binary
od -c text
paste left right
paste -s -d , left
patch -p0 text change.diff
pidof nothing_of_that_name
printf '%s %05d %x %.3f\n' a 42 255 1.5
pwd
readlink -f tree/deep/link
readlink tree/dangling
realpath tree/deep/link
reset
rev text
rm -rf tree
rm text missing
rmdir tree/empty
rmdir tree
rpm2cpio missing
sed -n '5,10p' text
sed -e s/kernel/XX/g -e '/page/d' text
sed -i 's/the/THE/' text
sed -f script.sed text
seq 1 7 100
seq -w 8 12
setpriv --nnp busybox echo hi
sh -c 'i=0; s=0; while [ $i -lt 3000 ]; do i=$((i+1)); s=$((s+i*i%7)); done; echo $s'
sh -c 'exec busybox yes > /dev/full'
sh -c 'echo error >&2; exit 9'
sh -c 'no_such_builtin_or_program'
sh script_file one two
sha1sum text
sha1sum -c sums.md5
sha256sum text binary
sha3sum text
sha512sum text
shred -n 0 -z -u text
shuf -i 1-1
sleep 0.02
sort text
sort -n -r numbers
sort -u -t , -k 2,2 table.csv
sort -c numbers
stat -c '%n %F %s %a %u %g %h %Y' text tree tree/dangling tree/fifo
stat -L -c %s tree/deep/link
stat missing
strings -n 6 binary
stty -a
sync
sysctl -n kernel.ostype
tac text
tail -n 5 text
tail -c 100 binary
tail -n +395 text changed
tar -cf out.tar tree text
tar -tvf tree.tar
tar -xpf tree.tar
tar -xOf tree.tar tree/a.txt
taskset 1 busybox echo hi
tee one two
tee -a text
test -f text -a -d tree
test a = b
touch -d '2011-11-11 11:11:11' text new
touch -r text changed
touch -c missing
tr a-z A-Z
tr -d aeiou
tr -cs a-z '\n'
true
truncate -s 100 text grown
truncate -s 5K binary
ts '%Y'
tty
uname
uname -m -s -o
uncompress --help
unexpand -a tabs
uniq -c left
uniq -d pairs
unix2dos text
unlink text
unlzma -k packed.lzma
unxz -k packed.xz
unxz -c packed.xz
unzip -l packed.zip
unzip -o packed.zip
usleep 1000
uudecode encoded
uuencode binary name
uuencode -m text name
vi -c ':%s/kernel/KERNEL/g' -c :wq text
wc text binary empty
wc -l -w text
which busybox sh no_such_program
whoami
xxd binary
xxd -p -l 64 binary
xxd -r -p hex
xz --help
xzcat packed.xz
crontab -c . -l
killall nothing_of_that_name
nologin
mim
renice 5 nothing
run-parts --test parts
run-parts -a one -a two parts
start-stop-daemon -S -x /bin/busybox -- echo hi
start-stop-daemon -K -t -n nothing_of_that_name
su -c 'echo hi; id -u' root
su -s /bin/sh nobody -c 'id -u; cat text > copy; ls -l /proc/self/exe'
timeout 5 busybox sh -c 'exit 7'
timeout 0.2 busybox sleep 5
timeout -s KILL 0.2 busybox sleep 5
unshare busybox true
xargs
xargs -t -n 3 echo
xargs -I {} echo <{}>
xargs busybox false
zcat packed.gz
ash -c 'busybox setsid busybox sh -c "echo hi; exit 3"; echo $?'
ash -c 'for i in 1 2 3; do (sleep 0.$i; echo $i) & done; wait; echo $?'
ash -c 'mkfifo q; cat q & echo through > q; wait; cat text | grep -c e | tee n; x=$(wc -l < text); echo $x'
ash -c 'sleep 30 & busybox ps -o pid,ppid,comm | grep -c sleep > /dev/null; busybox pidof sleep > /dev/null && busybox kill %1; wait; echo $?'
find tree -type f -exec busybox wc -c {} ;
flock text -c 'echo locked'
nohup busybox echo hi
nice -n 3 busybox nice
tar -czf out.tgz tree
awk 'BEGIN {"echo from a pipe" | getline x; print x; print "b\na" | "sort"; close("sort"); system("exit 3")}'
busybox true
busybox no_such_applet
busybox --list
"""

# The runs whose output cannot be the same twice, and what in it may differ.
VARYING = {
    "cpio -o -H newc": [r"^070701.{8}"],
    "date": [r".+"],
    "df .": [r"^/dev/\S+ +", r"\d+ +\d+ +\d+ +\d+%"],
    "df -T -h /dev/shm": [r"[\d.]+[KMGT]? +[\d.]+[KMGT]? +[\d.]+[KMGT]? +\d+%"],
    "free": [r" +\d+"],
    "free -m": [r" +\d+"],
    "hostname -f": [r".+"],
    "last": [r".+"],
    "mkswap image": [r"UUID=.+"],
    "mktemp -u -p .": [r"tmp\.\w{6}"],
    "nproc": [r"\d+"],
    "ps": [r"[\s\S]+"],
    "shuf text": [r"[\s\S]+"],
    "time busybox true": [r"\d+m [\d.]+s"],
    "top -b -n 1": [r"[\s\S]+"],
    "uname -a": [r"\S+ #.*? x86_64"],
    "uptime": [r".+"],
    "w": [r".+"],
    "who": [r".+"],
}

STDIN = b"first second third\ntwo\tof a kind, scale=20; 4*a(1)\n"

STDIN_OF = {
    "bc -l": b"scale=50\n4*a(1)\n2^200\ndefine f(n){if(n<2)return 1;return n*f(n-1)}\nf(30)\ns(1)+e(1)+l(2)\n",
    "cpio -o -H newc": b"tree/a.txt\n",
    "ed text": b"1,3p\n2d\ns/a/b/\n/kernel/p\nw written\n$=\nq\n",
}

EXCLUDED = {
    "daemons, and what runs only on a terminal": """
        crond cttyhack openvt sulogin login getty watch""",
    "leaves its child behind; run from ash above": "setsid",
    "namespaces, and what only the first process of a machine runs": "nsenter run-init switch_root init linuxrc",
    "packages are in no test directory": "dpkg dpkg-deb rpm",
    "network": """
        arp arping brctl dnsdomainname ftpget ftpput httpd ifconfig ifdown ifup ip ipneigh nameif nc netstat nslookup ping
        ping6 rdate route ssl_client tc telnet telnetd tftp traceroute traceroute6 tunctl udhcpc udhcpd vconfig wget
        logger syslogd klogd logread acpid""",
    "devices, kernel modules or the whole machine": """
        adjtimex blkdiscard blockdev chvt deallocvt depmod devmem dmesg dumpkmap fatattr findfs freeramdisk fsfreeze
        fstrim halt hwclock lsmod i2cdetect i2cdump i2cget i2cset i2ctransfer insmod ionice loadfont loadkmap losetup lsscsi
        mdev microcom modinfo modprobe mount mt partprobe pivot_root poweroff reboot resume rmmod setkeycodes svc svok
        swapoff swapon ubirename uevent umount watchdog""",
    "never ends; run from sh above, into /dev/full": "yes",
    "changes the user database": "passwd",
    "writes the time into the image": "mkdosfs mkfs.vfat",
}


@cache
def packed() -> Path:
    """A directory of archives, made once: cpio, for one, keeps inode numbers."""
    folder = inputs.LARGE / "archives"
    if not folder.exists():
        fresh = folder.with_suffix(f".{os.getpid()}")
        fresh.mkdir(parents=True)
        inputs.small(fresh)
        shell = """
            set -e; busybox gzip -c text > packed.gz; busybox bzip2 -c text > packed.bz2; busybox base64 text > text64
            busybox tar -cf tree.tar tree; busybox find tree | busybox cpio -o -H newc > tree.cpio 2> /dev/null
            busybox md5sum text binary > sums.md5; busybox diff -u text changed > change.diff || true
            busybox uuencode binary decoded > encoded; (cd tree; ar rcD ../lib.a a.txt b.c)
            xz -T1 -k -c text > packed.xz; xz -T1 --format=lzma -c text > packed.lzma
        """
        subprocess.run(["sh", "-c", shell], cwd=fresh, check=True)
        with ZipFile(fresh / "packed.zip", "w", ZIP_DEFLATED) as archive:
            for name in ("text", "binary", "tree/a.txt"):
                archive.write(fresh / name, f"zip/{name}")
        try:
            fresh.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(fresh)
    return folder


def archives(work: Path) -> None:
    """`inputs.small`, and what the unpacking applets unpack."""
    inputs.small(work)
    for name in (
        "packed.gz",
        "packed.bz2",
        "packed.xz",
        "packed.lzma",
        "packed.zip",
        "text64",
        "tree.tar",
        "tree.cpio",
    ):
        shutil.copy(packed() / name, work)
    for name in ("sums.md5", "change.diff", "encoded", "lib.a"):
        shutil.copy(packed() / name, work)
    (work / "dos").write_bytes(b"one\r\ntwo\r\n\rthree\n")
    (work / "hex").write_text("68656c6c6f0a 00ff\n")
    (work / "sourced").write_text("echo sourced $x\n")
    (work / "script_file").write_text("echo $0 $# $2\nfor a in $*; do echo $a; done\nexit 3\n")
    (work / "parts").mkdir()
    for name, text in (("one", "echo one $1 $#"), ("two", "echo two $2; exit 3"), ("three.sh", "echo no")):
        (work / "parts" / name).write_text(f"#!/bin/sh\n{text}\n")
        (work / "parts" / name).chmod(0o755)
    (work / "image").write_bytes(bytes(1 << 20))
    inputs.set_times(work)


def lines() -> list[str]:
    return [line for line in RUNS.splitlines() if line]


def covered() -> set[str]:
    return {line.split()[0] for line in [*lines(), *VARYING]}


def run(pair: Pair, line: str, blank: list[str], files: bool = True) -> None:
    require("busybox-static", BUSYBOX)
    applet, *arguments = shlex.split(line)
    argv = [BUSYBOX, *([] if applet == "busybox" else [applet]), *arguments]
    pair(argv, prepare=archives, stdin=STDIN_OF.get(line, STDIN), blank=blank, files=files)


@pytest.mark.parametrize("line", lines())
def test_applet(pair: Pair, line: str) -> None:
    run(pair, line, [])


@pytest.mark.parametrize("line", VARYING)
def test_varying_applet(pair: Pair, line: str) -> None:
    run(pair, line, VARYING[line], files=False)


def test_every_applet_is_run_or_left_out_for_a_reason() -> None:
    require("busybox-static", BUSYBOX)
    listed = set(subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split())
    excluded = {name for names in EXCLUDED.values() for name in names.split()}
    assert not listed - covered() - excluded
    assert not covered() & excluded
