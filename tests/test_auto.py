"""`--backend auto`: emulated as long as that can be, and real Linux for the rest."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import LXRUN, compile_program, require

from emu.elf import note_property

HELLO = """
#include <stdio.h>
int main(void) { puts("hello"); }
"""

AVX = r"""
#include <immintrin.h>
#include <stdio.h>
int main(void) {
    volatile int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int sums[8];
    %s
    __m256i all = _mm256_loadu_si256((void *)numbers);
    _mm256_storeu_si256((void *)sums, _mm256_add_epi32(all, all));
    printf("%%d %%d\n", sums[0], sums[7]);
}
"""


def run(environment: dict[str, str], *words: str | Path, input: bytes = b"") -> tuple[int, bytes, str]:
    done = subprocess.run([*LXRUN, *words], env=environment, input=input, capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr.decode()


def built(folder: Path, name: str, text: str, *flags: str) -> Path:
    """A program whose file's name is `name`."""
    source = folder / f"{name}.c"
    source.write_text(text)
    program = folder / name
    program.write_bytes(compile_program(source, *flags).read_bytes())
    program.chmod(0o755)
    return program


# -------------------------------------------------------------------------------------- explain


def test_explain(vm_cache: dict[str, str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = built(tmp_path, "sums", AVX % f'fclose(fopen("{mark}", "w"));', "-static", "-mavx2")
    status, out, error = run(vm_cache, "--explain", program, "an argument")
    assert (status, error, mark.exists()) == (0, "", False)
    lines = out.decode().splitlines()
    assert lines[:3] == [
        f"program      {program}",
        "file         ELF, 64-bit, x86-64, at a fixed address",
        "interpreter  none: static",
    ]
    assert lines[4] == "backend      emulate: nothing that is known beforehand speaks against it"
    table = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert (table["AVX2"][-1], table["SSE2"][-1], table["x86-64"][-1]) == ("no", "yes", "yes")
    # objdump counts alike
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True).stdout
    count = sum("\tpshufb " in line for line in listing.splitlines())
    assert count and int(table["SSSE3"][0]) >= count
    assert f"{table['AVX2'][1].removeprefix('0x')}:\t{table['AVX2'][2]} " in listing


def test_explain_says_which_backend(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "needy", HELLO, "-static", "-Wl,-z,x86-64-v3")
    script = tmp_path / "script"
    script.write_text(f"#!{program}\n")
    script.chmod(0o755)
    _, out, _ = run(vm_cache, "--explain", script)
    assert out.splitlines()[0] == b"program      %s, a script for %s" % (bytes(script), bytes(program))
    assert b"\nneeds        x86-64-v3\nbackend      vm: it needs x86-64-v3, which is not emulated\n" in out
    _, out, _ = run({**vm_cache, "PATH": "/none"}, "--explain", program)
    assert b"\nbackend      emulate: it needs x86-64-v3, which is not emulated, but there is no VM: qemu-" in out
    _, out, _ = run(vm_cache, "--backend", "vm", "--explain", program)
    assert b"\nbackend      vm: --backend vm says so\n" in out


def test_another_machine_is_refused(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "arm", HELLO, "-static")
    data = bytearray(program.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    program.write_bytes(data)
    answer = (126, b"", f"lxrun: {program}: built for AArch64; lxrun runs x86-64\n")
    assert run(vm_cache, program) == answer
    assert run(vm_cache, "--explain", program) == answer
    assert run(vm_cache, "--backend", "vm", program) == answer


def test_explain_of_what_is_no_program(vm_cache: dict[str, str], tmp_path: Path) -> None:
    assert run(vm_cache, "--explain", tmp_path) == (126, b"", f"lxrun: {tmp_path}: it is a directory\n")
    script = tmp_path / "script"
    script.write_text("#!/none\n")
    script.chmod(0o755)
    status, out, error = run(vm_cache, "--explain", script)
    assert (status, out) == (126, b"") and "its interpreter /none is not in" in error


# ------------------------------------------------------------------------------ before the start


def test_an_instruction_set_that_the_note_says_is_needed(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "needy", HELLO, "-static", "-Wl,-z,x86-64-v3")
    line = "lxrun: needy: the instruction set x86-64-v3 cannot be emulated"
    assert run(vm_cache, program) == (0, b"hello\n", f"{line}: it runs in a VM\n")
    assert run(vm_cache, "--backend", "emulate", program) == (0, b"hello\n", "")
    with_strace = run(vm_cache, "--strace=trace=none", program)
    assert with_strace == (0, b"hello\n", f"{line}: it runs in a VM\n+++ exited with 0 +++\n")
    not_for_a_vm = run(vm_cache, program, "/dev/fd/3")
    assert not_for_a_vm == (0, b"hello\n", f"{line}; --backend vm has it\n")
    no_qemu = {**vm_cache, "PATH": str(tmp_path)}
    assert run(no_qemu, program) == (0, b"hello\n", f"{line}; --backend vm has it\n")


def test_an_instruction_set_that_is_emulated(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "modest", HELLO, "-static", "-Wl,-z,x86-64-v2")
    assert run(vm_cache, program) == (0, b"hello\n", "")


NEEDED = 0xC0008002


def note(*properties: tuple[int, bytes]) -> bytes:
    body = b"".join(
        kind.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data + bytes(-len(data) % 8)
        for kind, data in properties
    )
    return b"\4\0\0\0" + len(body).to_bytes(4, "little") + b"\5\0\0\0GNU\0" + body


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (note((NEEDED, b"\5\0\0\0")), 5),
        (note((0xC0000002, b"\3\0\0\0"), (NEEDED, b"\1\0\0\1")), 0x1000001),
        (note((1, b"x" * 8), (2, b""), (NEEDED, b"\4\0\0\0")), 4),
        (note((0xC0000002, b"\3\0\0\0")), 0),
        (note((NEEDED, b"\5\0")), 0),
        (note((NEEDED, b"\5\0\0\0"))[:26], 0),
        (note((1, b"")).replace(b"GNU", b"Go\0") + note((NEEDED, b"\5\0\0\0")), 0),
        (b"", 0),
        (b"\4\0\0\0" + b"\xff" * 4 + b"\5\0\0\0GNU\0" + b"\xff" * 64, 0),
    ],
)
def test_a_property_of_a_note(data: bytes, value: int) -> None:
    assert note_property(data, NEEDED) == value


# --------------------------------------------------------------------------------- while it runs

BPF = """
#include <linux/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    char line[100] = "";
    %s
    unsigned key = 2;
    unsigned long put = 42, got = 0;
    union bpf_attr array = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 4};
    int fd = syscall(SYS_bpf, BPF_MAP_CREATE, &array, sizeof array);
    if (fd < 0)
        return printf("bpf: %%s\\n", strerror(errno)), 3;
    union bpf_attr element = {.map_fd = fd, .key = (unsigned long)&key, .value = (unsigned long)&put};
    syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &element, sizeof element);
    element.value = (unsigned long)&got;
    syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &element, sizeof element);
    printf("%%lu %%s", got, line);
    while (fgets(line, sizeof line, stdin))
        printf("%%s", line);
}
"""
LACKS_BPF = "bpf(2) cannot be emulated"


def served(rest: bytes = b"") -> tuple[int, bytes]:
    """Status and output of the program with real Linux, which lets only root."""
    return (0, b"42 " + rest) if os.getuid() == 0 else (3, b"bpf: Operation not permitted\n")


def test_a_call_is_served_by_another_run(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "maps", BPF % "fgets(line, sizeof line, stdin);", "-static")
    text = b"".join(b"line %d\n" % number for number in range(20000))
    line = f"lxrun: maps: {LACKS_BPF}: it runs in a VM\n"
    # What was taken from standard input comes again, from a pipe as from a file
    assert run(vm_cache, program, input=text) == (*served(text), line)
    (tmp_path / "input").write_bytes(b"not this\n" + text)
    with (tmp_path / "input").open("rb") as stdin, (tmp_path / "output").open("wb") as stdout:
        os.lseek(stdin.fileno(), len(b"not this\n"), os.SEEK_SET)
        done = subprocess.run([*LXRUN, program], env=vm_cache, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    assert (done.returncode, (tmp_path / "output").read_bytes(), done.stderr.decode()) == (*served(text), line)
    assert run(vm_cache, "--backend", "emulate", program) == (3, b"bpf: Function not implemented\n", "")


def test_from_a_child(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "maps", BPF % "", "-static")
    command = ["sh", "-c", "umask 027; cd /; x=$(echo 1 | cat); trap 'echo trapped' USR1; $0; kill -USR1 $$", program]
    line = f"lxrun: maps: {LACKS_BPF}: it runs in a VM\n"
    assert run(vm_cache, *command) == (0, served()[1] + b"trapped\n", line)


@pytest.mark.parametrize(
    "before",
    [
        'puts("early"); fflush(stdout);',
        'mkdir("new", 0755);',
        'fclose(fopen("file", "w"));',
        'rename("old", "older");',
        'chmod("old", 0600);',
        'int old = open("old", O_RDWR); write(old, "x", 1);',
        'int old = open("old", O_RDWR); *(char *)mmap(0, 4096, 3, MAP_SHARED, old, 0) = 1; msync(0, 0, 0); fsync(old);',
        "char big[4096]; for (int left = 300; left; left--) read(0, big, sizeof big);",
    ],
)
def test_what_can_be_seen_outside_is_not_done_twice(vm_cache: dict[str, str], tmp_path: Path, before: str) -> None:
    headers = "".join(f"#include <{name}>\n" for name in ("fcntl.h", "stdio.h", "sys/mman.h", "sys/stat.h"))
    program = built(tmp_path, "maps", headers + BPF % before, "-static")
    (tmp_path / "old").write_text("text")
    status, out, error = run(vm_cache, "-w", tmp_path, program, input=bytes(1300000))
    assert (status, error) == (3, f"lxrun: maps: {LACKS_BPF}; --backend vm has it\n")
    assert out.endswith(b"bpf: Function not implemented\n")


def test_what_cannot_be_seen_outside_is_forgotten(vm_cache: dict[str, str], tmp_path: Path) -> None:
    before = """
        FILE *inside = fopen("/dev/shm/mine", "w"), *null = fopen("/dev/null", "w");
        fputs("text", inside), fclose(inside), fputs("text", null), fclose(null);
        int old = open("old", O_RDWR);
        *(char *)mmap(0, 4096, 3, MAP_SHARED, old, 0) = 'T';
    """
    program = built(tmp_path, "maps", "#include <fcntl.h>\n#include <sys/mman.h>\n" + BPF % before, "-static")
    (tmp_path / "old").write_text("text")
    status, out, error = run(vm_cache, "-w", tmp_path, program)
    assert (status, out, error) == (*served(), f"lxrun: maps: {LACKS_BPF}: it runs in a VM\n")


def test_without_a_vm_the_error_is_honest(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "maps", BPF % "", "-static")
    answer = (3, b"bpf: Function not implemented\n", f"lxrun: maps: {LACKS_BPF}; --backend vm has it\n")
    assert run({**vm_cache, "PATH": "/none"}, program) == answer
    assert run(vm_cache, "--memory", "100m", program) == answer


def test_what_a_vm_is_not_given(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "maps\33", BPF % "", "-static")
    line = f"lxrun: maps?: {LACKS_BPF}"
    assert run(vm_cache, program) == (*served(), f"{line}: it runs in a VM\n")
    shell = ["sh", "-c", 'exec 7< /dev/null 8< "$1"; shift; exec "$@"', "sh", program, *LXRUN]
    for command, in_vm in (
        ([program], True),
        ([program, "/dev/fd/7"], False),
        (["sh", "-c", 'head -c 1 <&8 > /dev/null; exec "$0"', program], False),
    ):
        done = subprocess.run([*shell, *command], env=vm_cache, capture_output=True, stdin=subprocess.DEVNULL)
        end = "it runs in a VM" if in_vm else "--backend vm has it"
        assert done.stderr.decode() == f"{line}{':' if in_vm else ';'} {end}\n"
        assert done.returncode == (served()[0] if in_vm else 3)


PERF = """
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    struct perf_event_attr clock = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof clock, .config = PERF_COUNT_SW_TASK_CLOCK};
    int fd = syscall(SYS_perf_event_open, &clock, 0, -1, -1, 0);
    unsigned long count = 0;
    for (volatile int i = 0; i < 100000; i++)
        ;
    int size = read(fd, &count, 8);
    printf("%d %d\\n", size, count > 0);
}
"""


def test_a_performance_counter(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "perf", PERF, "-static")
    line = "lxrun: perf: perf_event_open(2) cannot be emulated: it runs in a VM\n"
    out = b"8 1\n" if os.getuid() == 0 else b"-1 0\n"  # Debian's kernel has kernel.perf_event_paranoid = 3
    assert run(vm_cache, program) == (0, out, line)


def test_a_file_system_in_a_file(vm_cache: dict[str, str], tmp_path: Path) -> None:
    require("e2fsprogs", "/sbin/mke2fs")
    image = tmp_path / "image"
    image.write_bytes(bytes(4 << 20))
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", image], check=True)
    (tmp_path / "point").mkdir()
    script = """
        mount -t ext4 -o loop image point || exit
        echo stored > point/file; umount point
        mount -t ext4 -o loop,ro image point; cat point/file; umount point
    """
    status, out, error = run(vm_cache, "-w", tmp_path, "/bin/busybox", "sh", "-c", script)
    if os.getuid():
        assert (status, out) == (1, b"") and "permitted" in error
    else:
        line = "lxrun: busybox: /dev/loop-control cannot be emulated: it runs in a VM\n"
        assert (status, out, error) == (0, b"stored\n", line)
        assert b"stored\n" in image.read_bytes()


TUN = r"""
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
int main(void) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    strcpy(request.ifr_name, "lx%d");
    int fd = open("/dev/net/tun", O_RDWR);
    int failed = ioctl(fd, TUNSETIFF, &request);
    printf("%d %s %s\n", fd >= 0, failed ? strerror(errno) : "made", request.ifr_name);
}
"""
FUSE = r"""
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>
int main(void) {
    char options[64], data[65536];
    int fd = open("/dev/fuse", O_RDWR);
    if (fd < 0)
        return perror("/dev/fuse"), 1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    if (mount("test", "point", "fuse", 0, options))
        return perror("mount"), 1;
    ssize_t size = read(fd, data, sizeof data);
    struct fuse_in_header *head = (void *)data;
    printf("%d %d\n", size >= (ssize_t)sizeof *head, head->opcode == FUSE_INIT);
    umount2("point", MNT_DETACH);
}
"""


def test_a_network_of_a_program(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "tap", TUN, "-static")
    absent = b"0 Bad file descriptor lx%d\n"
    assert run(vm_cache, "--backend", "emulate", program) == (0, absent, "")
    if os.getuid():
        assert run(vm_cache, program) == (0, absent, "")
    else:
        line = "lxrun: tap: /dev/net/tun cannot be emulated: it runs in a VM\n"
        assert run(vm_cache, program) == (0, b"1 made lx0\n", line)


def test_a_file_system_of_a_program(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "files", FUSE, "-static")
    (tmp_path / "point").mkdir()
    absent = "/dev/fuse: No such file or directory\n"
    assert run(vm_cache, "--backend", "emulate", "-w", tmp_path, program) == (1, b"", absent)
    status, out, error = run(vm_cache, "-w", tmp_path, program)
    line, _, rest = error.partition("\n")
    assert line == "lxrun: files: /dev/fuse cannot be emulated: it runs in a VM"
    assert (status, out, rest) == ((1, b"", "mount: Operation not permitted\n") if os.getuid() else (0, b"1 1\n", ""))


def test_a_device_that_a_vm_has_not_either(vm_cache: dict[str, str]) -> None:
    command = ["/bin/busybox", "cat", "/dev/kvm"]
    refused = "cat: can't open '/dev/kvm': No such file or directory\n"
    line = "lxrun: busybox: /dev/kvm cannot be emulated, and a VM has none either\n"
    assert run(vm_cache, *command) == (1, b"", refused + line)
    assert run(vm_cache, "--backend", "emulate", *command) == (1, b"", refused)
    assert run(vm_cache, "--backend", "vm", *command) == (1, b"", refused)


def test_what_only_root_may_is_refused_to_others(vm_cache: dict[str, str], tmp_path: Path) -> None:
    text = """
        #include <errno.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int main(void) {
            if (!getuid() && setuid(12345))
                return 1;
            syscall(SYS_init_module, "", 0, "");
            printf("%s\\n", strerror(errno));
        }
    """
    program = built(tmp_path, "loads", text, "-static")
    assert run(vm_cache, program) == (0, b"Operation not permitted\n", "")


def test_instructions_that_the_processor_is_not_asked_about(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "sums", AVX % "", "-static", "-mavx2")
    status, out, error = run(vm_cache, program)
    assert (status, out) == (0, b"2 16\n")
    assert re.fullmatch(r"lxrun: sums: the instruction v\w+ \(AVX2?\) cannot be emulated: it runs in a VM\n", error)
    early = '__attribute__((constructor)) static void early(void) { puts("early"); fflush(stdout); }\n'
    late = built(tmp_path, "late", "#include <stdio.h>\n" + early + AVX % "", "-static", "-mavx2")
    status, out, error = run(vm_cache, late)
    assert (status, out) == (128 + 4, b"early\n")
    first, second = error.splitlines()
    assert re.fullmatch(r"lxrun: late: the instruction v\w+ \(AVX2?\) cannot be emulated; --backend vm has it", first)
    assert second == "Illegal instruction"


ASKS = r"""
#include <immintrin.h>
#include <stdio.h>
__attribute__((target("avx2"))) void by_eight(volatile int *numbers, int *sums) {
    __m256i all = _mm256_loadu_si256((void *)numbers);
    _mm256_storeu_si256((void *)sums, _mm256_add_epi32(all, all));
}
int main(void) {
    volatile int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int sums[8];
    if (__builtin_cpu_supports("avx2"))
        by_eight(numbers, sums);
    else
        for (int i = 0; i < 8; i++)
            sums[i] = 2 * numbers[i];
    printf("%d %d\n", sums[0], sums[7]);
}
"""


def test_short_vectors_are_not_taken_for_others(vm_cache: dict[str, str], tmp_path: Path) -> None:
    text = """
        #include <immintrin.h>
        #include <stdio.h>
        int main(void) {
            volatile double numbers[2] = {1, 2};
            volatile long bits = 0xf0f0;
            printf("%ld %ld\\n", (long)_pext_u64(bits, 0xff00), (long)_andn_u64(0xff, bits));
            if (fflush(stdout) || bits == 1)
                return 1;
            double sum = numbers[0] + numbers[1];
            printf("%g %g\\n", sum, numbers[0] - sum);
        }
    """
    # BMI has the same prefix, and is emulated
    program = built(tmp_path, "halves", text.replace("fflush(stdout)", "0"), "-static", "-mavx", "-mbmi", "-mbmi2")
    status, out, error = run(vm_cache, program)
    assert (status, out) == (0, b"240 61440\n3 -2\n")
    assert re.fullmatch(r"lxrun: halves: the instruction v\w+ \(AVX\) cannot be emulated: it runs in a VM\n", error)
    late = built(tmp_path, "late", text, "-static", "-mavx", "-mbmi", "-mbmi2")
    status, out, error = run(vm_cache, "--backend", "emulate", late)
    assert (status, error) == (128 + 4, "Illegal instruction\n")


def test_a_program_that_asks_stays_emulated(vm_cache: dict[str, str], tmp_path: Path) -> None:
    program = built(tmp_path, "asks", ASKS, "-static")
    assert run(vm_cache, program) == (0, b"2 16\n", "")
    assert b"AVX2" in run(vm_cache, "--explain", program)[1]


def test_a_program_that_expects_an_illegal_instruction(vm_cache: dict[str, str], tmp_path: Path) -> None:
    text = r"""
        #include <setjmp.h>
        #include <signal.h>
        #include <stdio.h>
        static sigjmp_buf back;
        static void on_illegal(int signo) { siglongjmp(back, signo); }
        int main(int argc, char **argv) {
            signal(SIGILL, on_illegal);
            int signo = sigsetjmp(back, 1);
            if (!signo)
                __asm__ volatile("vpaddd %ymm0, %ymm0, %ymm0");
            printf("%d\n", signo);
            signal(SIGILL, SIG_DFL);
            fclose(stdin);
            if (argc > 1)
                __builtin_trap();
        }
    """
    program = built(tmp_path, "tries", text, "-static")
    assert run(vm_cache, program) == (0, b"4\n", "")
    assert run(vm_cache, program, "trap") == (128 + 4, b"", "Illegal instruction\n")
