"""Servers and those who look after them: databases, supervisors, Python's own tests of what they are made of.

All of them talk through AF_UNIX sockets, share memory and files, and wait in poll or epoll.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Pair, require, run

PYTHON = "/usr/bin/python3"

BENCHMARK = """
redis-server --port 0 --unixsocket redis.sock --save '' --logfile /dev/null & server=$!
while [ ! -S redis.sock ]; do sleep 0.2; done
redis-benchmark -s redis.sock -t set,get,lpush,lrange_100 -c 50 -P 16 -n 2000 -q |
    tr '\\r' '\\n' | grep requests | sed 's/: .*//'
redis-cli -s redis.sock llen mylist
redis-cli -s redis.sock info clients | grep ^connected
redis-cli -s redis.sock shutdown nosave
wait $server
echo status $?
"""

WAL = """
sqlite3 t.db 'pragma journal_mode=wal; create table t(who int, n int);'
writer() {
    for i in $(seq 40); do echo "insert into t values ($1, $i);"; done |
    (echo '.timeout 50000'; cat; echo "select 'writer', $1, count(*) from t where who = $1;") | sqlite3 t.db
}
for w in 1 2 3 4; do writer $w >out.$w & done
wait
cat out.*
sqlite3 t.db 'select who, count(*), sum(n) from t group by who; pragma integrity_check'
sqlite3 t.db 'pragma wal_checkpoint(truncate)'
ls t.db*
rm -f t.db* out.*
"""

RUNIT = """
for s in one two three; do mkdir -p sv/$s; done
mkfifo sv/two/fifo
printf '#!/bin/sh\\nexec sleep 1000\\n' >sv/one/run
printf '#!/bin/sh\\nexec cat <fifo\\n' >sv/two/run
printf '#!/bin/sh\\necho started >>count\\nexec sleep 0.2\\n' >sv/three/run
chmod +x sv/*/run
runsvdir -P $PWD/sv 2>/dev/null & dir=$!
until_runs() { until sv status $PWD/sv/$1 2>&1 | grep -q ^run; do sleep 0.2; done; }
state() { sv status $PWD/sv/$1 | sed 's/(pid [0-9]*) //; s/ [0-9]*s//'; }
for s in one two three; do until_runs $s; done
state one
sv -w 60 down $PWD/sv/one >/dev/null
state one
sv -w 60 up $PWD/sv/one >/dev/null
state one
sv kill $PWD/sv/two
until [ $(wc -l <sv/three/count) -ge 3 ]; do sleep 0.2; done
until_runs two
kill -HUP $dir
wait $dir
echo status $?
until rm -rf sv 2>/dev/null; do sleep 0.2; done
"""

SUPERVISOR = """
cat >conf <<END
[unix_http_server]
file=$PWD/sock
[supervisord]
logfile=$PWD/log
pidfile=$PWD/pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://$PWD/sock
[program:one]
command=/bin/sh -c "echo \\$\\$ >one.new; mv one.new one.pid; exec sleep 1000"
startsecs=0
[program:two]
command=/bin/cat
startsecs=0
[program:three]
command=/bin/sh -c "echo hello; exit 3"
startsecs=0
autorestart=false
END
supervisord -n -c conf >/dev/null 2>&1 & server=$!
until [ -s one.pid ] && grep -q 'exited: three' log; do sleep 0.2; done
first=$(cat one.pid)
kill -9 $first
until [ $(cat one.pid) != $first ]; do sleep 0.2; done
supervisorctl -c conf >out 2>&1 <<END
stop two
status
start two
tail three
END
kill $server
wait $server
echo status $?
sed 's/^supervisor> //; s/pid.*//; s/EXITED.*/EXITED/; s/STOPPED.*/STOPPED/' out
grep -c 'killed.*SIGKILL\\|terminated by SIGKILL' log
rm -f *
"""

POSTGRES = """
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
export PATH=$bin:$PATH PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres
initdb -D data --no-sync -A trust -U postgres >/dev/null && echo initdb
cat >>data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$PWD'
fsync = off
END
postgres -D data >log 2>&1 & server=$!  # a child of ours, so that nobody else has to reap it
until pg_isready -q; do sleep 0.2; done
pgbench -i -q 2>/dev/null && echo filled
pgbench -n -c 4 -j 2 -t 5 2>&1 | grep 'actually processed\\|failed'
pgbench -n -S -c 4 -j 2 -t 20 2>&1 | grep 'actually processed\\|failed'
sums="select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"
psql -At -c 'select count(*) from pgbench_history' -c "$sums" -c 'create table acked (n int)'

# Everything is killed at work.  What a client was told is in the table must be there afterwards.
: >acked
pgbench -n -c 4 -j 2 -T 100 >/dev/null 2>&1 & bench=$!
seq 1 100000 | sed 's/.*/insert into acked values (&) returning n;/' | psql -qAt >acked 2>/dev/null & client=$!
until [ "$(wc -l <acked)" -ge 10 ]; do sleep 0.2; done
kill -STOP $server
all="$server $(pgrep -P $server)"
kill -9 $all
# A shell that finds the server dead while it waits for something else says "Killed", so nobody listens.
{ wait $server; while ps -o stat= $all | grep -qv Z; do sleep 0.2; done; wait $bench; wait $client; } 2>/dev/null
pg_ctl -D data -l log -w -t 100 start >/dev/null 2>&1 && echo started again
grep -c 'not properly shut down' log
psql -At -c 'select n from acked' >found
echo lost: $(sort acked >a; sort found | comm -23 a -)
psql -At -c "$sums"
pg_ctl -D data -w -t 100 stop >/dev/null && echo stopped
psql 2>&1 | grep -c 'No such file'
rm -rf *
"""


def script(pair: Pair, text: str) -> None:
    def prepare(work: Path) -> None:
        (work / "script").write_text(text)

    pair(["/bin/sh", "script"], prepare=prepare, status=0, files=False, patience=4)


def test_redis_benchmark(pair: Pair) -> None:
    """Fifty clients, sixteen requests at a time."""
    require("redis-server", "redis-server", "redis-benchmark")
    script(pair, BENCHMARK)


def test_sqlite_wal(pair: Pair) -> None:
    """Four processes write to one database through shared memory and locks."""
    require("sqlite3", "sqlite3")
    script(pair, WAL)


def test_runit(pair: Pair) -> None:
    require("runit", "runsvdir", "sv")
    script(pair, RUNIT)


def test_supervisor(pair: Pair) -> None:
    require("supervisor", "supervisord", "supervisorctl")
    script(pair, SUPERVISOR)


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A directory that other users can reach, with a short name."""
    with tempfile.TemporaryDirectory(prefix="lxrun-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_postgresql(everybodys: Path) -> None:
    """A cluster made, filled, used by four clients, killed at work, recovered and stopped.  The server refuses
    to run as root: root becomes another user first."""
    require("postgresql", "pgbench", "psql")
    argv = ["/bin/sh", "script"]
    if os.geteuid() == 0:
        argv = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv]

    def prepare(work: Path) -> None:
        (work / "script").write_text(POSTGRES)
        if os.geteuid() == 0:
            shutil.chown(work, "postgres", "postgres")

    Pair(everybodys)(argv, prepare=prepare, status=0, files=False, patience=4)


CPYTHON = {
    "test_socket": ["*Unix*", "*SCMRights*", "BasicSocketPairTest"],
    "test_mmap": ["MmapTests"],
    "test_signal": ["PosixTests", "test_sigpending", "test_sigwait*"],
    "test_subprocess": ["ContextManagerTests", "test_send_signal", "test_exception_cwd"],
}


@pytest.mark.parametrize("module", CPYTHON)
def test_cpython(module: str, everybodys: Path) -> None:
    """Python's own tests of the module: the same ones pass, are skipped and fail as on Linux."""
    require("libpython3.11-testsuite", "/usr/lib/python3.11/test/test_socket.py")
    chosen = [word for pattern in CPYTHON[module] for word in ("-m", pattern)]
    argv = ["/usr/bin/python3.11", "-m", "test", "-v", "--tempdir", str(everybodys / "work"), *chosen, module]

    def results(under_lxrun: bool) -> dict[str, str]:
        outcome = run(argv, everybodys / "work", under_lxrun=under_lxrun, patience=4)
        found = re.findall(r"^(test\w+ \(\S+\)).* \.\.\. (.*)$", outcome.stdout.decode(errors="replace"), re.M)
        return {"status": str(outcome.status), **dict(found)}

    native = results(False)
    assert len(native) > 5
    assert results(True) == native
