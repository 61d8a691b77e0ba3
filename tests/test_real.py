"""The programs that must run: Debian's own packages, one process each, identical to native.

A row is a package, a command, and what natively it must exit with; most rows read the files of
`inputs.small`.  Where two runs cannot be the same, `blank` names the text that may differ.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import inputs
import pytest
from harness import BUILD, Pair, compile_program, require


@dataclass(frozen=True)
class Case:
    package: str
    command: str
    status: int = 0
    stdin: str = ""
    blank: Sequence[str] = field(default=())
    env: dict[str, str] | None = None


def table(package: str, commands: str, **common: object) -> list[Case]:
    """One case a line; a line may begin with `[status] `."""
    cases = []
    for line in commands.strip().splitlines():
        line = line.strip()
        status = 0
        if line.startswith("[") and line[1].isdigit():
            head, line = line.split("] ", 1)
            status = int(head[1:])
        cases.append(Case(package, line, status, **common))  # type: ignore[arg-type]
    return cases


COREUTILS = table(
    "coreutils",
    r"""
    arch
    b2sum text binary empty
    base32 binary
    base64 -w 50 binary
    basename -s .c /a/b/file.c other.c
    basenc --base16 text
    cat -A text tabs latin
    cat -n text changed -
    [1] cat text missing tree
    chgrp -v 0 text
    chmod -v u=rwx,g+s,o-r text tree/a.txt
    chmod -R go-rwx tree
    chmod -v 4755 text
    chown -v 0:0 text
    chown -h 0 tree/dangling
    cksum text binary empty
    cksum -a sha384 text
    comm left right
    comm -12 --output-delimiter=: left right
    cp -v text copy
    cp -a tree copied
    cp -r --preserve=timestamps tree/deep copied
    cp --sparse=always binary sparse
    cp --reflink=never -u text changed tree
    cp -l text tree/linked
    cp -s /etc/passwd symbolic
    [1] cp tree nowhere
    csplit -k text 100 200 {1}
    csplit -z -f part text /kernel/ {5}
    cut -d , -f 1,3 table.csv
    cut -c 3-9,12 text
    cut -b 2- --output-delimiter=_ text
    date -d @1234567890 +%c
    date -u -d 2024-02-29T12:34:56.789Z -Iseconds
    date -r text +%F_%T.%N
    date -d '1 month ago 2020-03-31' +%A_%j_%U_%s
    [1] date -u -f pairs +%H
    date --rfc-email -d 2001-02-03
    dd if=binary of=copy bs=1000 skip=3 count=7 conv=notrunc status=none
    dd if=text bs=64 conv=ucase,swab count=10 status=none
    dd if=binary of=seeked bs=512 seek=10 count=4 conv=sync,notrunc status=none
    dd if=/dev/zero of=zeros bs=1M count=8 status=none
    dir tree
    dircolors -b
    dirname /a/b/c x/y ///
    du -ab tree
    du -s --apparent-size --block-size=1 tree
    du -a --inodes tree
    echo -e one\ttwo\nthree\x41\0101
    env -i A=1 B=2 printenv
    env -u HOME -C tree pwd
    env --ignore-environment X=y /usr/bin/env
    expand -t 5 tabs
    expr 17 + 4 * 3
    [2] expr 1 +
    expr match abcdef a.*d
    [1] expr length ''
    factor 1 2 97 1234567890 18446744073709551557 340282366920938463463374607431768211455
    [1] false
    fmt -w 40 text
    fold -s -w 30 long
    groups root
    head -c 100 binary
    head -n -390 text
    head -n 3 text changed latin
    hostid
    id
    id -u -n
    id nobody
    install -v -m 640 text installed
    install -d -m 700 some/new/dirs
    install -D text a/b/c/text
    join left right
    join -a 1 -a 2 -e NONE -o 0,1.2,2.2 left right
    link text hardlink
    ln -s text sym
    ln -v text hard
    ln -sfr tree/deep/c.txt relative
    [1] ln text changed
    logname --version
    ls
    ls -la --time-style=full-iso tree
    ls -laR --time-style=+%s tree
    ls -1Fp --color=always tree -I nothing --hide=nothing --ignore=x
    ls -lh --sort=size -r
    ls -ltu --time-style=long-iso tree
    ls -lS --block-size=K tree
    ls -Z tree
    ls -m -w 60 -Q
    [2] ls missing text
    ls -d /proc/self /dev/null
    ls -l --time-style=+ /dev/null /dev/zero /dev/full
    ls -lR /usr/share/doc
    md5sum text binary empty
    md5sum --tag text
    mkdir -p -v -m 700 new/deep/dirs
    [1] mkdir text
    mkfifo -m 640 pipe1 pipe2
    mknod nod p
    mv -v text moved
    mv tree elsewhere
    mv -b text changed
    mv -n text changed
    mv tree/a.txt tree/b.c tree/deep
    nice -n 5 nice
    nl -ba -w 4 -s : text
    nl -bpkernel text
    nohup echo hi
    nproc --ignore=64
    numfmt --to=iec 1024 1500000 123456789012
    numfmt --from=auto --field=1 --format=%10.2f 1K 2Mi 3G
    numfmt --to=si --header -d , --field 3 table.csv
    od -A x -t x1z binary
    od -t f8 -t d4 -t o2 -t c -N 64 binary
    paste -d :, left right text
    paste -s left
    pathchk -p text good/path
    [1] pathchk -p bad:name
    pr -3 -l 50 -D date -h head text
    printenv HOME TZ
    printf %s-%05d-%x-%e-%q\n abc 42 255 1.5 'a b'
    ptx -w 60 pairs
    pwd
    pwd -P
    readlink -f tree/deep/link tree/dangling
    readlink -e tree/deep/link
    [1] readlink text
    realpath --relative-to=tree text tree/deep/link
    realpath -s tree/../text
    rm -v text
    rm -rf tree
    rm -r -v tree/deep
    [1] rm tree
    [1] rm missing
    rmdir tree/empty
    rmdir -p --ignore-fail-on-non-empty tree/empty
    [1] rmdir tree
    seq 1 3 30
    seq -f %08.3f -s : 0.1 0.1 2
    seq 1 100000
    sha1sum text binary
    sha224sum text
    sha256sum text binary empty
    sha384sum text
    sha512sum text binary
    shred -n 0 -z -u text
    shred -n 1 --random-source=binary -x changed
    shuf --random-source=binary -n 20 text
    shuf -i 1-50 --random-source=binary
    sleep 0.05
    sort text
    sort -n numbers
    sort -t , -k 2,2 -k 3,3nr -s table.csv
    sort -u -r -f text
    sort -h -k 2 floats
    sort -g floats
    sort -c numbers --version
    [1] sort -c numbers
    sort -m left right
    sort -R --random-source=binary left
    sort --parallel=1 -S 1M -T . text changed numbers floats
    split -l 100 text part
    split -b 5000 -d -a 3 binary
    split -n l/3 text
    stat -c %A_%a_%b_%F_%g_%h_%n_%N_%s_%u_%X_%Y tree/a.txt tree/deep tree/dangling tree/fifo
    stat -f -c %t_%s_%S_%l_%n .
    stat -L -c %F_%s tree/deep/link
    [1] stat missing
    stat --printf=%t,%T\n /dev/null /dev/zero
    stdbuf -oL cat text
    [1] stty -a
    sum -r text binary
    sum -s text
    sync text
    tac text
    tac -s o -r changed
    tail -n 5 text
    tail -c +19990 binary
    tail -n +390 text
    tail -q -n 1 text changed latin
    tee copy1 copy2
    tee -a text
    test -d tree -a -f text
    [1] test 3 -gt 4
    [1] test -s empty
    touch -d 2011-11-11T11:11:11 text new
    touch -a -t 200102030405.06 text
    touch -r text changed
    touch -h -d @1000 tree/dangling
    tr a-z A-Z
    tr -cs [:alnum:] \n
    tr -d aeiou
    true
    truncate -s 100 text grown
    truncate -s +1K binary
    truncate -r text binary
    tsort pairs
    [1] tty
    uname
    uname -m -s -o
    unexpand -a -t 4 text
    uniq -c left
    uniq -D -f 1 pairs
    unlink text
    users /dev/null
    vdir --time-style=+%F tree
    wc text binary latin empty
    wc -L -m latin long
    who /dev/null
    whoami
    [ -L tree/dangling ]
    """,
    stdin="One line in\nand a second,\twith a tab\n",
)

COREUTILS_VARYING = [
    Case("coreutils", "date", blank=[r".+"]),
    Case("coreutils", "df .", blank=[r"^/dev/\S+ +", r"\d+ +\d+ +\d+ +\d+%"]),
    Case("coreutils", "df --output=target,fstype,file ."),
    Case("coreutils", "df -h -T /dev/shm", blank=[r"[\d.]+[KMGT]? +[\d.]+[KMGT]? +[\d.]+[KMGT]? +\d+%"]),
    Case("coreutils", "mktemp -u -p . file.XXXXXX", blank=[r"file\.\w{6}"]),
    Case("coreutils", "nproc", blank=[r"\d+"]),  # lxrun has one virtual CPU
    Case("coreutils", "uptime", blank=[r".+"]),
    Case("coreutils", "uname -a", blank=[r"\S+ #.*? x86_64"]),
    Case("coreutils", "head -c 16 /dev/urandom", blank=[r"[\s\S]+"]),
]

TEXT = [
    *table(
        "grep",
        r"""
        grep kernel text
        grep -n -i -w Kernel changed
        grep -c -v e text
        grep -r -l kernel tree
        grep -E -o '(cpu|tlb) [a-z]+' text
        grep -P '(?<=the )\w+(?= is)' text
        grep -A 2 -B 1 -m 5 truth text
        [1] grep -F -x -f left right
        grep -F -f pairs text
        [1] grep nothing_like_this text
        [2] grep kernel missing
        grep -b -o -a text binary
        grep -z -c middle binary
        grep --color=always -n 'a.*e' latin
        grep -Z -L kernel text tabs
        egrep --version
        fgrep 'a b' pairs
        """,
    ),
    *table(
        "sed",
        r"""
        sed -n 10,20p text
        sed -e s/kernel/XX/g -e '/page/d' text
        sed -E 's/(\w+) (\w+)/\2 \1/' text
        sed -f script.sed text
        sed -i.bak s/the/THE/ text
        sed -s -n '$=' text changed
        sed '1!G;h;$!d' left
        sed -z 's/\n/,/g' pairs
        sed -n '/cpu/,/tlb/{=;p}' text
        sed -e '3w written' -e 5q text
        sed 'y/abc/xyz/;N;P;D' text
        [1] sed 's/a' text
        """,
    ),
    *table(
        "gawk",
        r"""
        gawk '{n += NF} END {print n, NR}' text
        gawk -F , 'NR > 1 {s[$2] += $3} END {for (k in s) print k, s[k] | "cat >&2"; n = asort(s); print n}' empty
        gawk -F , 'NR > 1 {s[$2] += $3} END {n = asorti(s, k); for (i = 1; i <= n; i++) print k[i], s[k[i]]}' table.csv
        gawk 'BEGIN {for (i = 0; i < 200000; i++) {a[i % 1000] += i; x = sin(i) + x}; printf "%.6f %d\n", x, a[7]}'
        gawk '{gsub(/e+/, "<&>"); print toupper(substr($0, 3, 20)), match($0, /k[a-z]*l/), RSTART}' text
        gawk 'BEGIN {printf "%5.2f|%-10s|%x|%c\n", 3.14159, "left", 255, 65; print strftime("%F", 0, 1)}'
        gawk '{print > ($1 ".out")}' pairs
        gawk 'BEGIN {while ((getline line < "left") > 0) n++; print n; print length(ENVIRON["HOME"]) > 0}'
        gawk -v OFS=: '{$2 = ""; print NR, $0}' floats
        [7] gawk 'BEGIN {exit 7}'
        """,
    ),
    *table(
        "diffutils",
        r"""
        [1] diff text changed
        [1] diff -u --label a --label b text changed
        [1] diff -y -W 80 text changed
        [1] diff -c text changed --label x --label y
        [1] diff -r -q tree .
        diff -s text text
        [1] diff -w -B -i text changed
        [1] cmp text changed
        [1] cmp -l -n 100 text binary
        cmp text text
        """,
    ),
    *table(
        "findutils",
        r"""
        find tree
        find . -name *.txt -o -type l
        find tree -printf '%p %y %m %s %T@ %n %l %d\n'
        find tree -type f -size +1k -perm -600
        find tree -newer text -ls
        find tree -depth -mindepth 1 -delete
        find . -maxdepth 1 -regex '.*/[lr].*' -print0
        find tree -empty -prune -print
        find /usr/share/doc -type d -links 2
        find -L tree -samefile tree/a.txt
        [1] find missing
        """,
        blank=[r"^ +\d+"],  # the inode numbers of -ls
    ),
    *table(
        "bc",
        "bc -l",
        stdin="scale=60\na(1)*4\n2^500 % 10007\ndefine f(n){if(n<2)return 1;return n*f(n-1)}\nf(60)\nsqrt(2)\n",
    ),
    *table(
        "jq",
        r"""
        jq . data.json
        jq -c '.items[] | {id, n: (.tags | length)}' data.json
        jq '[.items[].v] | add / length, (map(floor) | group_by(. % 3) | map(length))' data.json
        jq -r '.items | map(.tags[0]) | unique | join(",")' data.json
        jq -S --arg x 5 'to_entries | map(.key + $x)' data.json
        jq -s -R 'split("\n") | map(select(test("kern"))) | length' text
        jq 'reduce range(0; 20000) as $i (0; . + $i * 2)' -n
        [4] jq .a.b.c left
        """,
    ),
]

PACKING = [
    *table(
        "tar",
        r"""
        tar -cf out.tar tree text
        tar -cf out.tar --format=posix --sort=name --mtime=@0 --owner=0 --group=0 --pax-option=delete=atime,delete=ctime tree
        tar -tvf {tar} --full-time
        tar -xvpf {tar}
        tar -xf {tar} -O x/text
        [1] tar -df {tar} x/text
        """,
        blank=[],
    ),
    *table(
        "gzip",
        r"""
        gzip -k -n text
        gzip -9 -c -n {megabytes}
        gzip -1 -v text binary
        gzip -d -c {gz}
        gzip -l -v {gz}
        gzip -t {gz}
        [2] gzip -d text
        """,
    ),
    *table(
        "xz-utils",
        r"""
        xz -T1 -k text
        xz -T1 -1 -c {megabytes}
        xz -T1 -d -c {xz}
        xz -T1 -l {xz}
        xz --format=lzma -T1 -c text
        [1] xz -T1 -d text
        """,
    ),
    *table(
        "zstd",
        r"""
        zstd --single-thread --no-asyncio -q -k text
        zstd --single-thread --no-asyncio -q -12 -c {megabytes}
        zstd --single-thread --no-asyncio -q -d -c {zst}
        [1] zstd --single-thread --no-asyncio -q -d -c text
        """,
    ),
    *table(
        "bzip2",
        r"""
        bzip2 -k text
        bzip2 -c {megabytes}
        """,
    ),
]

PERL = r"""
use strict; use warnings;
my %count; my $text = do { local $/; open my $f, '<', 'text' or die $!; <$f> };
$count{lc $_}++ for $text =~ /\b(\w+)\b/g;
printf "%s %d\n", $_, $count{$_} for (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 9];
(my $t = $text) =~ s/(\w+)\s+(\w+)/$2 $1/g; print length $t, "\n";
print join(',', map { sprintf '%03d', $_ } grep { $_ % 7 == 0 } 1 .. 100), "\n";
my @m = 'key=value; other = "quoted \"text\""; n=42' =~ /(\w+)\s*=\s*("(?:\\.|[^"])*"|\w+)/g; print "@m\n";
print "yes\n" if 'aaaaaaaaaaaaaaaaaaaaaaab' =~ /^(?:a|aa)+b$/; my $n = () = $text =~ /(?=e)/g; print "$n\n";
for my $f (qw(text tree tree/dangling tree/fifo missing tree/script.sh empty /dev/null)) {
    print "$f:", map({ my $t = "-$_"; eval "$t \$f" ? " $_" : '' } qw(e f d l p s x r w z c)), "\n";
}
mkdir 'made', 0750 or die; rename 'text', 'made/renamed' or die; symlink 'made', 'sym' or die; chmod 0600, 'left';
open my $o, '>>', 'made/out' or die; print $o "line $_\n" for 1 .. 1000; close $o; print -s 'made/out', "\n";
opendir my $d, 'tree' or die; print join(' ', sort readdir $d), "\n"; utime 1000, 2000, 'left';
my @s = stat 'left'; print "$s[8] $s[9]\n"; print pack('NnCa5', 1, 2, 3, 'hello') eq "\0\0\0\1\0\2\3hello" ? "ok\n" : "bad\n";
eval { die { code => 7 } }; print $@->{code}, "\n"; local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select undef, undef, undef, 3;
printf "%.15g %s\n", atan2(1, 1) * 4, sprintf '%e', 1 / 3; exit 4;
"""

# Pipelines, here-documents, traps, background jobs, wait -n.
SHELL = """
seq 1 200 | sort -rn | head -3 | tr '\\n' ' '; echo
x=$(echo outer $(echo inner)); echo "$x"
trap 'echo usr1' USR1; kill -USR1 $$
(sleep 0.1; echo background; exit 5) & wait $!; echo "status $?"
for i in 1 2 3; do (exit $i) & done; wait -n; wait; echo waited
cat <<X | wc -l
a
b
X
sleep 5 & kill $!; wait $!; echo "killed $?"
trap 'echo bye; exit 3' EXIT
"""

GIT = """
export GIT_AUTHOR_DATE=2020-01-01T00:00:00Z GIT_COMMITTER_DATE=2020-01-01T00:00:00Z HOME=$PWD
git init -q -b main r; cd r; git config user.name a; git config user.email a@b
cp ../text f; git add f; git commit -qm one; echo more >> f; git commit -qam two
git log --format='%H %s' | cat; git diff --stat HEAD~1 | cat
git clone -q . ../c; git -C ../c gc -q; git -C ../c fsck 2>&1; git -C ../c status -s
cd ..; rm -rf r c
"""
MAKE = """
for i in 1 2 3 4; do echo "int f$i(void) { return $i; }" > f$i.c; done
echo 'int f1(), f2(), f3(), f4(); int main(void) { return f1() + f2() + f3() + f4(); }' > main.c
printf 'prog: main.o f1.o f2.o f3.o f4.o\\n\\t@gcc -o $@ $^\\n%%.o: %%.c\\n\\t@gcc -O1 -c $<\\n' > Makefile
make -j4; ./prog || echo "sum $?"
"""

# Writes machine code and runs it: traces, callbacks, and functions made and dropped by the hundred.
JIT = """
local sum = 0 for i = 1, 3e5 do sum = sum + (i % 7) * 1.5 end print(sum)
local ffi = require 'ffi' ffi.cdef 'int abs(int);'
local n = 0 for i = 1, 1e5 do n = n + ffi.C.abs(-i % 5) end print(n)
for k = 1, 200 do
  local f = assert(loadstring('local x = ... return x * ' .. k .. ' + 1'))
  for i = 1, 120 do assert(f(i) == i * k + 1) end
end
local words = {} for i = 1, 20000 do words[i] = tostring(i * 7919 % 10007) end
table.sort(words) print(#words, words[1], words[#words], jit.status())
"""

LUA = r"""
local t = {} for i = 1, 50000 do t[i] = (i * 7919) % 50021 end
table.sort(t) print(t[1], t[25000], #t)
local s = 0 for line in io.lines("text") do for w in line:gmatch("%a+") do s = s + #w end end print(s)
print(string.format("%q %5.2f %x", "a\nb", math.pi, 255), ("x"):rep(3, ","), select("#", 1, nil, nil))
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end) print(co(), co(), co())
print(pcall(error, {code = 2}), math.type(1 // 1), 7 // 2, -7 % 3, 1 << 62, "10" + 5)
local f = assert(io.open("out", "w")) f:write(("line\n"):rep(1000)) f:close() print(os.rename("out", "moved"), os.remove("left"))
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end print(fib(22)) collectgarbage() os.exit(5)
"""

PYTHON = {
    "arithmetic": "print(2**521 - 1, divmod(-7, 3), 0.1 + 0.2, hash((1, 2)), sum(range(10**5)))",
    "modules": """
import json, sqlite3, zlib, hashlib, decimal, struct, re, collections, itertools, bz2, lzma, base64, csv, io, random
d = json.loads(open('data.json').read()); print(len(json.dumps(d)), d['items'][3])
c = sqlite3.connect('x.db'); c.execute('create table t(a int, b text)')
c.executemany('insert into t values (?, ?)', ((i, str(i) * 3) for i in range(2000))); c.commit()
print(c.execute('select count(*), sum(a), max(b) from t where a % 7 = 0').fetchall()); c.close()
data = open('binary', 'rb').read()
print(zlib.crc32(data), len(zlib.compress(data, 9)), zlib.decompress(zlib.compress(data)) == data)
print(len(bz2.compress(data)), len(lzma.compress(data, preset=1)), base64.b85encode(data[:20]))
for name in ('md5', 'sha1', 'sha256', 'sha512', 'sha3_256', 'blake2b'): print(name, hashlib.new(name, data).hexdigest())
decimal.getcontext().prec = 80
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7, decimal.Decimal('1e-70').ln())
print(list(csv.reader(io.StringIO(open('table.csv').read())))[17], random.Random(5).sample(range(1000), 5))
print(collections.Counter(re.findall(r'\\w+', open('text').read())).most_common(3), struct.pack('<hIq', -2, 3, 4))
""",
    "files": """
import os, pathlib, tempfile, shutil, stat, glob, mmap, fcntl, errno, time
p = pathlib.Path('made'); p.mkdir(); (p / 'f').write_text('x' * 1000); os.chmod(p / 'f', 0o640)
for root, dirs, files in sorted(os.walk('.')): print(root, sorted(dirs), sorted(files))
shutil.copytree('tree', 'copied', symlinks=True, ignore=shutil.ignore_patterns('fifo')); shutil.move('text', 'made/moved')
with tempfile.TemporaryDirectory(dir='.') as t: print(os.path.isdir(t))
with open('binary', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    print(m.find(b'middle'), len(m)); m[100:105] = b'PATCH'; m.flush()
with open('left') as f: fcntl.flock(f, fcntl.LOCK_EX); print(f.readline())
print(sorted(glob.glob('**/*.txt', recursive=True)), oct(os.stat('made/f').st_mode), os.path.realpath('tree/deep/link')[-10:])
try: open('missing')
except OSError as e: print(e.errno == errno.ENOENT, e)
fd = os.open('holes', os.O_RDWR | os.O_CREAT); os.pwrite(fd, b'end', 1 << 20); print(os.lseek(fd, 0, os.SEEK_HOLE))
os.truncate('right', 10); os.symlink('made', 'sym'); os.utime('right', (5, 6)); print(os.listxattr('right'), os.getcwd() == os.path.realpath('.'))
r, w = os.pipe(); os.write(w, b'pipe'); print(os.read(r, 10), os.sched_getaffinity(0) != set(), os.cpu_count() > 0)
print(time.strftime('%Y', time.gmtime(0)), time.monotonic() > 0, os.uname().sysname, os.get_terminal_size is not None)
""",
    "signals": """
import signal, os, time, resource, select, sys, faulthandler
signal.signal(signal.SIGUSR1, lambda n, f: print('got', n)); os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGALRM, lambda n, f: print('alarm')); signal.setitimer(signal.ITIMER_REAL, 0.02); time.sleep(0.2)
print(signal.sigtimedwait([signal.SIGUSR2], 0.01), signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]))
os.kill(os.getpid(), signal.SIGTERM); print(signal.sigpending())
r, w = os.pipe(); p = select.poll(); p.register(r, select.POLLIN); print(p.poll(5)); os.write(w, b'x'); print(len(p.poll(5)))
print(resource.getrlimit(resource.RLIMIT_STACK)[0] > 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0)
def deep(n): return deep(n + 1)
try: deep(0)
except RecursionError as e: print(e)
sys.stdout.flush(); signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)
""",
    "pidigits": """
def digits(n):
    k, a, b, a1, b1, out = 2, 4, 1, 12, 4, []
    while len(out) < n:
        p, q, k = k * k, 2 * k + 1, k + 1
        a, b, a1, b1 = a1, b1, p * a + q * a1, p * b + q * b1
        d, d1 = a // b, a1 // b1
        while d == d1:
            out.append(str(d)); a, a1 = 10 * (a % b), 10 * (a1 % b1); d, d1 = a // b, a1 // b1
    return ''.join(out[:n])
print(digits(400))
""",
}

SQL = """
pragma journal_mode=wal;
create table t(id integer primary key, k int, s text, r real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
  insert into t select i, i * 7919 % 100003, printf('%06d-%s', i, hex(i * 31)), i / 7.0 from n;
create index by_k on t(k);
create index by_s on t(s);
select count(*), sum(k), round(avg(r), 6), min(s), max(s) from t;
select id, s from t where k between 500 and 510 order by k;
select k % 10 as d, count(*), group_concat(id % 3) from t where id < 50 group by d;
update t set r = r * 2 where k < 1000;
delete from t where k % 17 = 0;
select count(*), round(sum(r), 3) from t;
pragma integrity_check;
vacuum;
.schema
"""

LANGUAGES = [
    Case("bash", f"/bin/bash -c {shlex.quote(SHELL)}", status=3),
    Case("git", f"/bin/bash -ec {shlex.quote(GIT)}"),
    Case("make", f"/bin/bash -ec {shlex.quote(MAKE)}"),
    Case("dash", "/bin/dash -c 'ls | sort | head -3; (exit 4); echo $?; cat text | wc -l | cat'"),
    Case("bash", "/bin/bash -c 'yes | head -1; true | false | true; echo ${PIPESTATUS[@]}'"),
    Case("lua5.4", f"lua5.4 -e {shlex.quote(LUA)}", status=5),
    Case("luajit", f"luajit -e {shlex.quote(JIT)}"),
    Case("lua5.4", "lua5.4 -e 'error(\"no\")'", status=1),
    Case("perl", f"perl -e {shlex.quote(PERL)}", status=4),
    Case("perl", "perl -ne 'print if /kernel/ .. /page/; END { print $. }' text"),
    Case(
        "perl",
        "perl -MData::Dumper -MPOSIX -MList::Util=sum -e '$Data::Dumper::Sortkeys=1; print Dumper({a=>[1,2],b=>{c=>undef}}), floor(-1.5), sum(1..9)'",
    ),
    *(Case("python3", f"/usr/bin/python3 -c {shlex.quote(code)}") for key, code in PYTHON.items() if key != "signals"),
    Case("python3", f"/usr/bin/python3 -c {shlex.quote(PYTHON['signals'])}", status=130),
    Case("python3", "/usr/bin/python3 {python_script}", status=3),
    Case("python3", "/usr/bin/python3 -c 'raise SystemExit(9)'", status=9),
    Case("python3", "/usr/bin/python3 -c 'import nothing'", status=1),
    Case("python3", "/usr/bin/python3 -m json.tool data.json"),
    Case("python3", "/usr/bin/python3 -", stdin="import sys\nprint(sys.argv, sys.stdin.isatty())\n"),
    Case("sqlite3", "sqlite3 base.db", stdin=SQL),
    Case("sqlite3", "sqlite3 -header -csv :memory: \"select 1 as a, 2.5 as b, null as c, hex(x'00ff') as d\""),
    Case("sqlite3", "sqlite3 -init empty -bail :memory: 'select * from missing'", status=1),
]

TOOLS = [
    *table(
        "openssl",
        r"""
        openssl version
        openssl dgst -sha256 text binary
        openssl dgst -sha3-512 -r binary
        openssl dgst -md5 -hmac key text
        openssl enc -aes-256-cbc -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -in text -out sealed
        openssl enc -aes-128-ctr -pbkdf2 -pass pass:x -S 0001020304050607 -in binary -a
        openssl enc -chacha20 -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -in binary
        openssl base64 -in binary
        openssl rand -out /dev/null 1000
        openssl prime 1000000007 18446744073709551557
        openssl x509 -in {cert} -noout -text
        openssl x509 -in {cert} -noout -fingerprint -sha256 -subject -dates
        openssl verify -CAfile {cert} -no_check_time {cert}
        openssl rsa -in {key} -noout -text
        openssl pkey -in {key} -pubout
        openssl dgst -sha256 -sign {key} -out signature text
        openssl asn1parse -in {cert} -i
        openssl passwd -6 -salt salt password
        openssl ciphers -s -v
        openssl list -digest-algorithms
        """,
    ),
    *table(
        "file",
        r"""
        file text binary latin empty data.json tree tree/dangling tree/script.sh tree/b.c {gz} {tar} {xz}
        file -i text binary
        file -b /bin/true /bin/busybox /usr/bin/perl
        """,
    ),
    *table("gdb", "gdb --version\ngdb -nx -batch -ex 'print 6*7' -ex 'ptype int'"),
]


def _packed(name: str, command: Sequence[str], work: Path) -> Path:
    """A compressed file made once, natively."""
    path = inputs.LARGE / name
    if not path.exists():
        inputs.LARGE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, cwd=work, capture_output=True, check=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(done.stdout)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another worker's, which must not change under its hands
        fresh.unlink()
    return path


def _fill_in(word: str, scratch: Path) -> str:
    """`word` with the path of a prepared input for its {name}."""
    if "{" not in word:
        return word
    scratch.mkdir(exist_ok=True)
    text = str(inputs.megabytes())
    makers: dict[str, Callable[[], object]] = {
        "{megabytes}": lambda: text,
        "{million}": lambda: inputs.million_lines(),
        "{python_script}": lambda: inputs.python_script(),
        "{gz}": lambda: _packed("text.gz", ["gzip", "-c", "-n", text], scratch),
        "{xz}": lambda: _packed("text.xz", ["xz", "-T1", "-1", "-c", text], scratch),
        "{zst}": lambda: _packed("text.zst", ["zstd", "-q", "-c", text], scratch),
        "{tar}": lambda: _tar(scratch),
        "{key}": lambda: _packed("key.pem", ["openssl", "genrsa", "1024"], scratch),
        "{cert}": lambda: _certificate(scratch),
    }
    for name, make in makers.items():
        if name in word:
            word = word.replace(name, str(make()))
    return word


def _tar(scratch: Path) -> Path:
    tree = scratch / "x"
    if not tree.exists():
        tree.mkdir()
        inputs.small(tree)
    options = ["--sort=name", "--owner=0", "--group=0", "--mtime=@1500000000"]
    return _packed("tree.tar", ["tar", "-cf", "-", *options, "x"], scratch)


def _certificate(scratch: Path) -> Path:
    key = _fill_in("{key}", scratch)
    return _packed("cert.pem", ["openssl", "req", "-x509", "-key", key, "-subj", "/CN=lxrun", "-days", "9999"], scratch)


def _id(case: Case) -> str:
    return " ".join(case.command.split())[:60]


@pytest.mark.parametrize("case", [*COREUTILS, *COREUTILS_VARYING, *TEXT, *PACKING, *LANGUAGES, *TOOLS], ids=_id)
def test_runs(pair: Pair, tmp_path: Path, case: Case) -> None:
    words = shlex.split(case.command)
    require(case.package, words[0])
    argv = [_fill_in(word, tmp_path / "scratch") for word in words]
    pair(argv, prepare=inputs.small, stdin=case.stdin.encode(), status=case.status, blank=case.blank, env=case.env)


@pytest.mark.parametrize("options", ["--parallel=1", "-n -r --parallel=1", "-u -S 8M --parallel=1"])
def test_sort_of_a_million_lines(pair: Pair, options: str) -> None:
    require("coreutils", "sort")
    pair(["sort", *options.split(), "-o", "sorted", str(inputs.million_lines())], status=0)


def test_sha256sum_of_megabytes(pair: Pair) -> None:
    require("coreutils", "sha256sum")
    pair(["sha256sum", str(inputs.megabytes()), str(inputs.million_lines())], status=0)


CPP = r"""
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
struct Noisy { std::string n; ~Noisy() { std::cout << "~" << n << "\n"; } };
struct Special : std::runtime_error { using std::runtime_error::runtime_error; };
static int depth(int n) { Noisy here{std::to_string(n)}; if (n == 0) throw Special("bottom"); return depth(n - 1) + 1; }
int main(int argc, char **) {
    try { depth(5); } catch (const std::exception &e) { std::cout << e.what() << "\n"; }
    try { std::vector<int>(3).at(9); } catch (const std::out_of_range &e) { std::cout << "range\n"; }
    try { std::make_unique<int[]>(size_t(1) << 62); } catch (const std::bad_alloc &e) { std::cout << "bad_alloc\n"; }
    try { try { throw 1; } catch (...) { std::throw_with_nested(Special("outer")); } }
    catch (const Special &e) { try { std::rethrow_if_nested(e); } catch (int i) { std::cout << "nested " << i << "\n"; } }
    std::map<std::string, int> words; std::ifstream in("text"); std::string w;
    while (in >> w) words[w]++;
    for (auto &[k, v] : words) std::cout << k << " " << v << "\n";
    std::ofstream("out") << std::hex << 255 << std::endl;
    std::cout.flush();
    if (argc > 1) throw Special("nobody catches this");
    return 6;
}
"""

FORTRAN = r"""
program numbers
  implicit none
  integer, parameter :: n = 60
  real(8) :: a(n, n), b(n), x
  complex(8) :: z
  integer :: i, j, ios
  character(20) :: line
  do i = 1, n
    do j = 1, n
      a(i, j) = 1.0d0 / (i + j - 1) + merge(1.0d0, 0.0d0, i == j)
    end do
    b(i) = sin(real(i, 8))
  end do
  b = matmul(a, matmul(a, b))
  print '(5F14.9)', b(1:10)
  print *, sum(a), maxval(b), minloc(b)
  z = exp((0.0d0, 1.0d0) * acos(-1.0d0))
  print '(2ES12.4)', real(z) , 1.0d0
  open(10, file='out', form='formatted')
  do i = 1, 100
    write(10, '(I5,F10.4)') i, sqrt(real(i, 8))
  end do
  rewind(10)
  read(10, '(A)', iostat=ios) line
  print *, trim(line), ios
  open(11, file='missing', status='old', iostat=ios)
  print *, ios /= 0
  read(*, *) x
  print *, x * 2
  stop 3
end program
"""

GO = r"""
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

type node struct {
	Left, Right *node
	Value       int
}

func tree(n int) *node {
	if n == 0 {
		return nil
	}
	return &node{tree(n - 1), tree(n - 1), n}
}

func main() {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	words := map[string]int{}
	for _, w := range strings.Fields(string(data)) {
		words[w]++
	}
	keys := make([]string, 0)
	for k := range words {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Println(k, words[k])
	}
	fmt.Printf("%x\n", sha256.Sum256(data))
	for i := 0; i < 8; i++ {
		_ = tree(14)
	}
	ch := make(chan int)
	go func() {
		for i := 0; i < 1000; i++ {
			ch <- i * i
		}
		close(ch)
	}()
	total := 0
	for v := range ch {
		total += v
	}
	out, _ := json.Marshal(map[string]any{"total": total, "cpus": runtime.NumCPU() > 0})
	fmt.Println(string(out))
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var p *node
		fmt.Println(p.Value)
	}()
	fd, _ := syscall.Open("out", syscall.O_CREAT|syscall.O_WRONLY, 0o640)
	syscall.Write(fd, data[:100])
	syscall.Mkdir("made", 0o700)
	os.Exit(8)
}
"""


def _source(name: str, text: str) -> Path:
    folder = BUILD / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if not path.exists() or path.read_text() != text:
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)
    return path


@pytest.mark.parametrize(("arguments", "status"), [([], 6), (["throw"], 134)])
@pytest.mark.parametrize("link", ["-O2", "-static"])
def test_cpp_program_that_throws(pair: Pair, link: str, arguments: list[str], status: int) -> None:
    require("g++", "g++")
    binary = compile_program(_source("throws.cpp", CPP), "-std=c++17", link, command=["g++"])
    pair([str(binary), *arguments], prepare=inputs.small, status=status)


def test_fortran_program(pair: Pair) -> None:
    require("gfortran", "gfortran")
    binary = compile_program(_source("numbers.f90", FORTRAN), command=["gfortran"])
    pair([str(binary)], prepare=inputs.small, stdin=b"21.25\n", status=3)


def test_go_program(pair: Pair) -> None:
    require("golang-go", "go")
    folder = BUILD / "go"
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / "words"
    source = _source("main.go", GO)
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        env = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
        subprocess.run(["go", "build", "-o", str(binary), str(source)], env=env, check=True)
    pair([str(binary)], prepare=inputs.small, stdin=b"one two three two\n" * 500, status=8)
