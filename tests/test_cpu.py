"""The engine: exact faults, the syscall trap, TLB consistency, code invalidation, kicks.

The guest code is a handful of hand-assembled instructions in one page, so that every address is known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emu.arch import x86_64 as arch
from emu.arena import Arena
from emu.engine import EXEC, READ, WRITE, Exit
from emu.host import PORTABLE
from emu.unicorn_cpu import UnicornCpu
from emu.unicorn_registers import Asked
from emu.unicorn_registers import find as find_registers

CODE, DATA = 0x400000, 0x600000


class Kernel:
    """A supervisor with a page table and nothing else."""

    def __init__(self) -> None:
        self.cpu = UnicornCpu(arch)
        self.arena = Arena(64 << 20)
        self.pages: dict[int, int] = {}
        self.calls: list[tuple[int, int]] = []
        self.serve: Callable[[], int | None] = lambda: None
        self.go_on: Callable[[], int | None] = lambda: None
        self.on_fault: Callable[[int, int], int] = lambda address, access: 0
        self.cpu.attach(self.arena, self)
        self.cpu.set_page_table(self.pages)
        self.code = self.map(CODE, READ | EXEC)

    def syscall(self) -> int | None:
        words = memoryview(self.cpu.call).cast("Q")
        number, first = self.cpu.call_slots[:2]
        self.calls.append((words[number], words[first]))
        return self.serve()

    def resume(self) -> int | None:
        return self.go_on()

    def page_fault(self, address: int, access: int) -> int:
        return self.on_fault(address, access)

    def map(self, address: int, permissions: int) -> int:
        frame = self.arena.alloc()
        self.pages[address >> 12] = frame | permissions
        return frame

    def load(self, code: bytes, **registers: int) -> None:
        self.arena.view(self.code, len(code))[:] = code
        self.cpu.code_written(self.code, 4096)
        self.cpu.write({**arch.start_registers(CODE, DATA + 0x800), **registers})

    def run(self, code: bytes, **registers: int) -> Exit:
        self.load(code, **registers)
        return self.cpu.run()

    def pc(self) -> int:
        return self.cpu.read(("rip",))[0]


@pytest.fixture(scope="module")
def machine() -> Iterator[Kernel]:
    yield Kernel()


@pytest.fixture
def kernel(machine: Kernel) -> Kernel:
    machine.pages.clear()
    machine.pages[CODE >> 12] = machine.code | READ | EXEC
    machine.calls.clear()
    machine.go_on = lambda: None
    machine.serve = lambda: None
    machine.on_fault = lambda address, access: 0
    machine.cpu.kicked = False
    machine.cpu.flush()
    return machine


def test_user_mode(kernel: Kernel) -> None:
    assert kernel.cpu.read(("cs", "ss")) == (arch.USER_CS, arch.USER_SS)
    for privileged in (b"\xfa", b"\x0f\x22\xc0", b"\x0f\x30", b"\xf4", b"\xe4\x10", b"\xe6\x10", b"\xec"):
        assert kernel.run(b"\x90" + privileged) is Exit.TRAP
        assert kernel.cpu.vector == arch.VECTOR_PROTECTION
        assert kernel.pc() == CODE + 1


@pytest.mark.parametrize(
    ("code", "address", "access"),
    [
        (b"\x90\x48\xa1" + (0x123456789ABD).to_bytes(8, "little"), 0x123456789ABD, READ),
        (b"\x90\x48\xa3" + (0x123456789ABD).to_bytes(8, "little"), 0x123456789ABD, WRITE),
        (b"\x90\x31\xc0\x48\x89\x00", 0, WRITE),
    ],
)
def test_exact_fault_address(kernel: Kernel, code: bytes, address: int, access: int) -> None:
    assert kernel.run(code) is Exit.PAGE_FAULT
    assert (kernel.cpu.fault_address, kernel.cpu.fault_access) == (address, access)
    assert kernel.pc() == CODE + (3 if not address else 1)


def test_jump_to_nowhere_faults_at_the_target(kernel: Kernel) -> None:
    for target in (0, 0x123456789ABC):
        assert kernel.run(b"\xff\xe0", rax=target) is Exit.PAGE_FAULT
        assert (kernel.cpu.fault_address, kernel.cpu.fault_access, kernel.pc()) == (target, EXEC, target)


@pytest.mark.parametrize(
    ("code", "vector", "pc"),
    [
        (b"\x90\xcc", arch.VECTOR_BREAKPOINT, 2),
        (b"\x31\xc9\xf7\xf1", arch.VECTOR_DIVIDE, 2),
        (b"\x90\xcd\x80", 0x80, 3),
    ],
)
def test_exceptions_again_and_again(kernel: Kernel, code: bytes, vector: int, pc: int) -> None:
    for _ in range(4):  # one that stays in flight would turn the next into a double fault
        assert kernel.run(code) is Exit.TRAP
        assert (kernel.cpu.vector, kernel.pc()) == (vector, CODE + pc)


def test_undefined_instruction(kernel: Kernel) -> None:
    for _ in range(3):
        assert kernel.run(b"\x90\x0f\x0b") is Exit.ILLEGAL
        assert kernel.pc() == CODE + 1


def test_syscall_result_and_leaving(kernel: Kernel) -> None:
    results = iter((42, None))
    kernel.serve = lambda: next(results)
    # syscall; mov rdi, rax; syscall
    assert kernel.run(b"\x0f\x05\x48\x89\xc7\x0f\x05", rax=1, rdi=7) is Exit.STOPPED
    assert kernel.calls == [(1, 7), (42, 42)]
    assert kernel.pc() == CODE + 7


@pytest.mark.skipif(PORTABLE, reason="there the engine is always left")
def test_another_program_goes_on_within_the_trap(kernel: Kernel, other: dict[int, int]) -> None:
    """Registers, program counter and address space are replaced in the hook: the engine goes on with those."""
    cpu = kernel.cpu
    leave, go_on = cpu.leave_call, cpu.go_on
    assert leave is not None and go_on is not None
    here, there = kernel.map(DATA, READ), kernel.arena.alloc()
    other[DATA >> 12] = there | READ
    for frame, value in ((here, 1), (there, 2)):
        kernel.arena.view(frame, 1)[:] = bytes([value])
    seen: list[tuple[int, ...]] = []

    def replaced() -> int | None:
        leave(39)
        seen.append(cpu.read(("rax", "rip")))
        cpu.switch_page_table(other)
        cpu.write({"rip": CODE + 2, "rax": 0, "rbx": DATA, "rflags": 0x203})
        return go_on()

    kernel.go_on = replaced
    # syscall; mov al,[rbx]; setc ah; hlt
    assert kernel.run(b"\x0f\x05\x8a\x03\x0f\x92\xc4\xf4", rax=39) is Exit.TRAP
    assert seen == [(39, CODE + 2)]
    assert cpu.read(("rax", "rip")) == (0x102, CODE + 7)
    cpu.switch_page_table(kernel.pages)
    assert kernel.run(b"\x8a\x03\xf4", rbx=DATA) is Exit.TRAP
    assert cpu.read(("rax",))[0] & 0xFF == 1


def test_error_in_a_handler_reaches_the_caller(kernel: Kernel) -> None:
    def fail() -> int:
        raise ValueError("a bug")

    kernel.serve = fail
    with pytest.raises(ValueError, match="a bug"):
        kernel.run(b"\x0f\x05")


def test_demand_paging_and_write_upgrade(kernel: Kernel) -> None:
    """A read fills the page without write permission; the write asks again, and reads see the new frame."""
    first, second = kernel.arena.alloc(), kernel.arena.alloc()
    kernel.arena.view(first, 4)[:] = b"old!"
    seen = []

    def fault(address: int, access: int) -> int:
        seen.append((address, access))
        entry = (first | READ) if access == READ else (second | READ | WRITE)
        kernel.pages[address >> 12] = entry
        return entry

    kernel.on_fault = fault
    # mov eax,[rbx]; mov dword [rbx+4], 1; mov ecx,[rbx]; hlt
    assert kernel.run(b"\x8b\x03\xc7\x43\x04\x01\x00\x00\x00\x8b\x0b\xf4", rbx=DATA) is Exit.TRAP
    eax, ecx = kernel.cpu.read(("rax", "rcx"))
    assert eax.to_bytes(8, "little")[:4] == b"old!"
    assert ecx == 0
    assert seen == [(DATA, READ), (DATA, WRITE)]


def test_flush_forgets_a_translation(kernel: Kernel) -> None:
    old = kernel.map(DATA, READ | WRITE)
    kernel.arena.view(old, 1)[:] = b"\x01"
    assert kernel.run(b"\x8a\x03\xf4", rbx=DATA) is Exit.TRAP
    new = kernel.map(DATA, READ)
    kernel.arena.view(new, 1)[:] = b"\x02"
    kernel.cpu.flush()
    assert kernel.run(b"\x8a\x03\xf4", rbx=DATA) is Exit.TRAP
    assert kernel.cpu.read(("rax",))[0] & 0xFF == 2


@pytest.fixture
def other(kernel: Kernel) -> Iterator[dict[int, int]]:
    """A second address space: the same code, and nothing else yet."""
    pages = {CODE >> 12: kernel.code | READ | EXEC}
    yield pages
    kernel.cpu.switch_page_table(kernel.pages)
    kernel.cpu.forget(pages)


def test_address_spaces_keep_their_translations(kernel: Kernel, other: dict[int, int]) -> None:
    mine, theirs = kernel.map(DATA, READ), kernel.arena.alloc()
    other[DATA >> 12] = theirs | READ
    kernel.arena.view(mine, 1)[:] = b"\x01"
    kernel.arena.view(theirs, 1)[:] = b"\x02"
    kernel.load(b"\x8a\x03\xf4", rbx=DATA)
    filled = []
    for _ in range(3):
        for pages, value in ((kernel.pages, 1), (other, 2)):
            kernel.cpu.switch_page_table(pages)
            kernel.cpu.write({"rip": CODE})
            assert kernel.cpu.run() is Exit.TRAP
            assert kernel.cpu.read(("rax",))[0] & 0xFF == value
        filled.append(kernel.cpu.fills)
    assert filled[2] == filled[0] if not PORTABLE else filled[2] > filled[0]


def test_a_kept_translation_is_forgotten(kernel: Kernel, other: dict[int, int]) -> None:
    old, new = kernel.map(DATA, READ), kernel.arena.alloc()
    kernel.arena.view(old, 1)[:] = b"\x01"
    kernel.arena.view(new, 1)[:] = b"\x02"
    assert kernel.run(b"\x8a\x03\xf4", rbx=DATA) is Exit.TRAP
    kernel.cpu.switch_page_table(other)
    kernel.pages[DATA >> 12] = new | READ
    kernel.cpu.forget(kernel.pages)
    kernel.cpu.switch_page_table(kernel.pages)
    assert kernel.run(b"\x8a\x03\xf4", rbx=DATA) is Exit.TRAP
    assert kernel.cpu.read(("rax",))[0] & 0xFF == 2


def test_more_address_spaces_than_are_kept(kernel: Kernel) -> None:
    spaces = []
    for value in range(40):
        frame = kernel.arena.alloc()
        kernel.arena.view(frame, 1)[:] = bytes([value])
        spaces.append({CODE >> 12: kernel.code | READ | EXEC, DATA >> 12: frame | READ})
    for _ in range(2):
        for value, pages in enumerate(spaces):
            kernel.cpu.switch_page_table(pages)
            assert kernel.run(b"\x8a\x03\xf4", rbx=DATA) is Exit.TRAP
            assert kernel.cpu.read(("rax",))[0] & 0xFF == value
    kernel.cpu.switch_page_table(kernel.pages)
    for pages in spaces:
        kernel.cpu.forget(pages)


def test_tlb_grows_over_a_large_working_set(kernel: Kernel) -> None:
    pages = 3000
    for i in range(pages):
        kernel.map(DATA + i * 4096, READ | WRITE)
    # loop: add rax,[rbx]; mov [rbx],rcx; add rbx,4096; dec rcx; jnz loop; hlt
    code = b"\x48\x03\x03\x48\x89\x0b\x48\x81\xc3\x00\x10\x00\x00\x48\xff\xc9\x75\xee\xf4"
    flushes = kernel.cpu.flushes
    for expected in (0, pages * (pages + 1) // 2):
        assert kernel.run(code, rbx=DATA, rcx=pages) is Exit.TRAP
        assert kernel.cpu.read(("rax",))[0] == expected
    assert kernel.cpu.flushes > flushes


def test_code_written_by_the_guest_is_retranslated(kernel: Kernel) -> None:
    kernel.pages[CODE >> 12] = kernel.code | READ | WRITE | EXEC
    # mov byte [rip+1], 7; mov al, 1 -> mov al, 7; hlt
    assert kernel.run(b"\xc6\x05\x01\x00\x00\x00\x07\xb0\x01\xf4") is Exit.TRAP
    assert kernel.cpu.read(("rax",))[0] == 7


def test_code_written_by_the_kernel_is_retranslated(kernel: Kernel) -> None:
    assert kernel.run(b"\xb0\x01\xf4") is Exit.TRAP
    kernel.arena.view(kernel.code + 1, 1)[:] = b"\x02"
    kernel.cpu.code_written(kernel.code, 4096)
    kernel.cpu.write(arch.start_registers(CODE, DATA))
    assert kernel.cpu.run() is Exit.TRAP
    assert kernel.cpu.read(("rax",))[0] == 2


def test_the_invalidation_window_is_not_the_guests(kernel: Kernel) -> None:
    kernel.load(b"\xff\xe0", rax=(1 << 56) + kernel.code)
    assert kernel.cpu.run() is Exit.PAGE_FAULT


def test_kick_stops_a_busy_loop(kernel: Kernel) -> None:
    def kick() -> None:
        time.sleep(0.05)
        while kernel.cpu.kicked or not done.is_set():
            kernel.cpu.kick()
            time.sleep(0.001)

    done = threading.Event()
    thread = threading.Thread(target=kick)
    thread.start()
    try:
        assert kernel.run(b"\x48\xff\xc0\xeb\xfb") is Exit.PREEMPTED  # inc rax; jmp
        assert CODE <= kernel.pc() < CODE + 5
    finally:
        done.set()
        kernel.cpu.kicked = False
        thread.join()


def test_wide_registers(kernel: Kernel) -> None:
    value = bytes(range(16))
    kernel.cpu.write_wide("xmm3", value)
    assert kernel.cpu.read_wide("xmm3", 16) == value
    # movdqa xmm5, xmm3; hlt
    assert kernel.run(b"\x66\x0f\x6f\xeb\xf4") is Exit.TRAP
    assert kernel.cpu.read_wide("xmm5", 16) == value


def test_fs_base_instructions(kernel: Kernel) -> None:
    # wrfsbase rax; rdfsbase rbx; hlt
    assert kernel.run(b"\xf3\x48\x0f\xae\xd0\xf3\x48\x0f\xae\xc3\xf4", rax=0x7123456789AB) is Exit.TRAP
    assert kernel.cpu.read(("fs_base", "rbx")) == (0x7123456789AB, 0x7123456789AB)


def test_an_alarm_ends_a_run(kernel: Kernel) -> None:
    alarm = kernel.cpu.alarm
    if not alarm.set(time.monotonic_ns() + 20_000_000):
        assert PORTABLE  # there a thread kicks
        return
    assert kernel.run(b"\xeb\xfe") is Exit.PREEMPTED  # 1: jmp 1b
    alarm.passed()
    alarm.set(time.monotonic_ns())  # one that has passed already comes again until it is heard
    assert kernel.cpu.run() is Exit.PREEMPTED
    alarm.passed()
    assert alarm.set(None)
    assert not alarm.armed


@pytest.mark.parametrize("in_place", [True, False])
def test_the_registers_of_a_call(kernel: Kernel, in_place: bool) -> None:
    cpu = kernel.cpu
    registers: Any = Asked(cpu._lib, cpu._handle, arch.UNICORN, arch)
    if in_place:
        found = find_registers(cpu._lib, cpu._handle, arch, cpu.write)
        assert found is not None
        registers = found
    values = {name: 0xFFFF_0000_0000_0000 + number for number, name in enumerate(arch.CALL_REGISTERS)}
    cpu.write({**values, arch.PC: CODE})
    if registers.ask is not None:
        registers.ask()
    words = registers.call.cast("Q")
    assert [words[slot] for slot in registers.call_slots] == list(values.values())
    registers.words[registers.result] = 42
    assert cpu.read((arch.RESULT,)) == (42,)
    if registers.look is not None:
        registers.look()
    assert registers.pc.value == CODE
