"""What an x86-64 Linux tells about its processor: the text of /proc/cpuinfo and the caches.

All of it follows from CPUID, so that it agrees with what the engine executes.  Names and order of the
flags are those of Linux's ``asm/cpufeatures.h``, by CPUID leaf and register.  Source: the AMD64
Architecture Programmer's Manual volume 3, the Intel SDM volume 2, ``arch/x86/kernel/cpu/proc.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Leaf = tuple[int, int, int, int]
_EAX, _EBX, _ECX, _EDX = range(4)


def _bits(names: str) -> dict[int, str]:
    """Names of successive bits; "-" for one that Linux does not show (and for svm: guests cannot use it)."""
    return {bit: name for bit, name in enumerate(names.split()) if name != "-"}


# (leaf, register, {bit: name}) in the order of Linux's capability words.
_FLAGS: tuple[tuple[int, int, dict[int, str]], ...] = (
    (1, _EDX, _bits(
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse "
        "sse2 ss ht tm ia64 pbe"
    )),
    (0x80000001, _EDX, {
        11: "syscall", 19: "mp", 20: "nx", 22: "mmxext", 25: "fxsr_opt", 26: "pdpe1gb", 27: "rdtscp", 29: "lm",
        30: "3dnowext", 31: "3dnow",
    }),
    (1, _ECX, _bits(
        "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 "
        "sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"
    )),
    (0x80000001, _ECX, _bits(
        "lahf_lm cmp_legacy - extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp "
        "fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx"
    )),
    (7, _EBX, {
        0: "fsgsbase", 1: "tsc_adjust", 3: "bmi1", 4: "hle", 5: "avx2", 7: "smep", 8: "bmi2", 9: "erms", 10: "invpcid",
        11: "rtm", 14: "mpx", 16: "avx512f", 17: "avx512dq", 18: "rdseed", 19: "adx", 20: "smap", 21: "avx512ifma",
        23: "clflushopt", 24: "clwb", 29: "sha_ni",
    }),
    (0xD, _EAX, {0: "xsaveopt", 1: "xsavec", 2: "xgetbv1", 3: "xsaves"}),
    (0x80000008, _EBX, {0: "clzero", 1: "irperf", 2: "xsaveerptr", 9: "wbnoinvd"}),
    (6, _EAX, {0: "dtherm", 1: "ida", 2: "arat", 4: "pln", 6: "pts", 7: "hwp"}),
    (7, _ECX, {
        1: "avx512vbmi", 2: "umip", 3: "pku", 4: "ospke", 8: "gfni", 9: "vaes", 10: "vpclmulqdq", 16: "la57",
        22: "rdpid",
    }),
    (7, _EDX, {4: "fsrm", 14: "serialize"}),
)  # fmt: skip
_SUBLEAF = {0xD: 1}
_OWN_FLAGS_AFTER = 0x80000001  # Linux's own flags come after this leaf's EDX
_OWN_FLAGS = ["rep_good", "nopl", "cpuid"]
_WAYS = {1: 1, 2: 2, 4: 4, 6: 8, 8: 16, 10: 32, 11: 48, 12: 64, 13: 96, 14: 128}  # leaf 0x80000006


class Cache(NamedTuple):
    """One cache: level, "Data", "Instruction" or "Unified", bytes, associativity, bytes per line."""

    level: int
    kind: str
    size: int
    ways: int
    line: int


class Identity:
    """What CPUID says, read once, and the frequency of the time stamp counter in kHz."""

    def __init__(self, cpuid: Callable[[int, int], Leaf], khz: int) -> None:
        self.leaves: dict[int, Leaf] = {}
        self.khz = khz
        for top in (0, 0x80000000):
            highest = cpuid(top, 0)[_EAX]
            wanted = {top, top + 1, top + 2, top + 3, top + 4, top + 5, top + 6, top + 7, top + 8, top + 0xD}
            for leaf in wanted:
                known = top <= leaf <= highest < top + 0x1000
                self.leaves[leaf] = cpuid(leaf, _SUBLEAF.get(leaf, 0)) if known else (0, 0, 0, 0)

    def flags(self) -> list[str]:
        """The flags line."""
        found: list[str] = []
        for leaf, register, names in _FLAGS:
            value = self.leaves[leaf][register]
            found += [name for bit, name in names.items() if value >> bit & 1]
            if leaf == _OWN_FLAGS_AFTER and register == _EDX:
                found += _OWN_FLAGS
        return found

    def signature(self) -> tuple[int, int, int]:
        """(family, model, stepping)."""
        eax = self.leaves[1][_EAX]
        family, model = eax >> 8 & 15, eax >> 4 & 15
        if family >= 6:
            model |= eax >> 12 & 0xF0
        if family == 15:
            family += eax >> 20 & 0xFF
        return family, model, eax & 15

    def caches(self) -> list[Cache]:
        """The caches as AMD processors describe them."""
        _, _, data, code = self.leaves[0x80000005]
        _, _, second, third = self.leaves[0x80000006]
        found = [
            Cache(1, "Data", (data >> 24) << 10, data >> 16 & 0xFF, data & 0xFF),
            Cache(1, "Instruction", (code >> 24) << 10, code >> 16 & 0xFF, code & 0xFF),
            Cache(2, "Unified", (second >> 16) << 10, _WAYS.get(second >> 12 & 15, 0), second & 0xFF),
            Cache(3, "Unified", (third >> 18) << 19, _WAYS.get(third >> 12 & 15, 0), third & 0xFF),
        ]
        return [cache for cache in found if cache.size and cache.ways and cache.line]

    def text(self, cpus: int) -> bytes:
        """/proc/cpuinfo."""
        level, *words = self.leaves[0]
        vendor = b"".join(words[i].to_bytes(4, "little") for i in (0, 2, 1)).decode("latin-1")
        brand = b"".join(
            word.to_bytes(4, "little") for leaf in (0x80000002, 0x80000003, 0x80000004) for word in self.leaves[leaf]
        )
        family, model, stepping = self.signature()
        caches = self.caches()
        tlb = self.leaves[0x80000006][_EBX]
        sizes = self.leaves[0x80000008][_EAX]
        line = (self.leaves[1][_EBX] >> 8 & 0xFF) * 8
        jiffies = self.khz * 2 // 10
        one = (
            f"vendor_id\t: {vendor}\n"
            f"cpu family\t: {family}\n"
            f"model\t\t: {model}\n"
            f"model name\t: {brand.split(bytes(1))[0].decode('latin-1').strip()}\n"
            f"stepping\t: {stepping}\n"
            f"cpu MHz\t\t: {self.khz // 1000}.{self.khz % 1000:03d}\n"
            f"cache size\t: {caches[-1].size >> 10 if caches else 0} KB\n"
            "physical id\t: 0\n"
            f"siblings\t: {cpus}\n"
            "core id\t\t: %d\n"
            f"cpu cores\t: {cpus}\n"
            "apicid\t\t: %d\n"
            "initial apicid\t: %d\n"
            "fpu\t\t: yes\n"
            "fpu_exception\t: yes\n"
            f"cpuid level\t: {level}\n"
            "wp\t\t: yes\n"
            f"flags\t\t: {' '.join(self.flags())}\n"
            "bugs\t\t:\n"
            f"bogomips\t: {jiffies // 100}.{jiffies % 100:02d}\n"
            f"TLB size\t: {(tlb >> 16 & 0xFFF) + (tlb & 0xFFF)} 4K pages\n"
            f"clflush size\t: {line}\n"
            f"cache_alignment\t: {line}\n"
            f"address sizes\t: {sizes & 0xFF} bits physical, {sizes >> 8 & 0xFF} bits virtual\n"
            "power management:\n"
            "\n"
        )
        return "".join([f"processor\t: {cpu}\n" + one % (cpu, cpu, cpu) for cpu in range(cpus)]).encode("latin-1")
