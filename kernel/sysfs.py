"""/sys: processors, memory nodes and the empty rest (sysfs(5)).

One processor, one memory node, no devices.  Formats are those of Linux's drivers/base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from kernel.priority import CPUS
from vfs.pseudofs import PseudoDir, PseudoFs, PseudoLink, PseudoNode, StrictTextFile, TableDir

if TYPE_CHECKING:
    from kernel.kernel import Kernel

SYSFS_MAGIC = 0x62656572
SYSFS_DEV = 0x16  # an anonymous device number, where Linux usually has it
_KERNEL_MAX = 8191  # NR_CPUS - 1 of distribution kernels
_NODES = 64  # nodes that a distribution kernel could have on a machine of this size

_VULNERABILITIES = (
    "gather_data_sampling", "itlb_multihit", "l1tf", "mds", "meltdown", "mmio_stale_data", "reg_file_data_sampling",
    "retbleed", "spec_rstack_overflow", "spec_store_bypass", "spectre_v1", "spectre_v2", "srbds", "tsx_async_abort",
)  # fmt: skip


def _text(text: str | Callable[[], str]) -> PseudoNode:
    if isinstance(text, str):
        line = text.encode() + b"\n"
        return StrictTextFile(lambda: line)
    make = text
    return StrictTextFile(lambda: make().encode() + b"\n")


Contents = Mapping[str, "str | PseudoNode | Callable[[], PseudoNode]"]


def _dir(contents: Contents) -> TableDir:
    """A directory of lines of text, nodes, and what makes nodes."""
    table = {
        name.encode(): partial(_text, entry) if isinstance(entry, str) else entry for name, entry in contents.items()
    }
    return TableDir(table, 0o755)


def _empty(*names: str) -> Contents:
    return {name: lambda: _dir({}) for name in names}


def cpu_list(count: int) -> str:
    """The first `count` processors in the notation of cpuset(7)."""
    return "0" if count == 1 else f"0-{count - 1}"


def cpu_mask(cpus: int) -> str:
    """A set of processors as hexadecimal words of 32, as wide as there are processors."""
    words = [f"{cpus >> at & 0xFFFFFFFF:08x}" for at in range(0, CPUS, 32)]
    words[-1] = words[-1][8 - (CPUS - 1) % 32 // 4 - 1 :]
    return ",".join(reversed(words))


def _topology(cpu: int) -> TableDir:
    everyone, only = (1 << CPUS) - 1, 1 << cpu
    contents = {"core_id": str(cpu), "physical_package_id": "0", "die_id": "0", "cluster_id": "65535"}
    for name, members in (
        ("cluster_cpus", only),
        ("core_cpus", only),
        ("thread_siblings", only),
        ("core_siblings", everyone),
        ("die_cpus", everyone),
        ("package_cpus", everyone),
    ):
        contents[name] = cpu_mask(members)
        contents[name + "_list"] = str(cpu) if members == only else cpu_list(CPUS)
    return _dir(dict(sorted(contents.items())))


def _caches(kernel: Kernel, cpu: int) -> TableDir:
    from emu.probe import identity

    levels = {}
    for index, cache in enumerate(identity(kernel.arch).caches()):
        levels[f"index{index}"] = _dir(
            {
                "coherency_line_size": str(cache.line),
                "id": str(cpu),
                "level": str(cache.level),
                "number_of_sets": str(cache.size // cache.ways // cache.line),
                "physical_line_partition": "1",
                "shared_cpu_list": str(cpu),
                "shared_cpu_map": cpu_mask(1 << cpu),
                "size": f"{cache.size >> 10}K",
                "type": cache.kind,
                "ways_of_associativity": str(cache.ways),
            }
        )
    return _dir(levels)


def _cpu(kernel: Kernel, cpu: int) -> TableDir:
    return _dir(
        {
            "cache": lambda: _caches(kernel, cpu),
            "node0": PseudoLink(b"../../node/node0"),
            "subsystem": PseudoLink(b"../../../../bus/cpu"),
            "topology": lambda: _topology(cpu),
            **({"online": "1"} if cpu else {}),  # the first cannot be taken offline
        }
    )


def _cpus(kernel: Kernel) -> TableDir:
    return _dir(
        {
            **{f"cpu{cpu}": partial(_cpu, kernel, cpu) for cpu in range(CPUS)},
            "enabled": cpu_list(CPUS),
            "isolated": "",
            "kernel_max": str(_KERNEL_MAX),
            "offline": "",
            "online": cpu_list(CPUS),
            "possible": cpu_list(CPUS),
            "present": cpu_list(CPUS),
            "smt": lambda: _dir({"active": "0", "control": "notsupported"}),
            # An emulated processor does not speculate.
            "vulnerabilities": lambda: _dir(dict.fromkeys(_VULNERABILITIES, "Not affected")),
        }
    )


def _node(kernel: Kernel) -> TableDir:
    def meminfo() -> str:
        from kernel.procfs import Memory

        now = Memory(kernel)
        inactive = max(0, now.cached - now.shmem)
        rows = (
            ("MemTotal", now.total),
            ("MemFree", now.free),
            ("MemUsed", now.total - now.free),
            ("Active", now.anonymous),
            ("Inactive", inactive),
            ("Active(anon)", now.anonymous),
            ("Inactive(anon)", 0),
            ("Active(file)", 0),
            ("Inactive(file)", inactive),
            ("FilePages", now.cached),
            ("Mapped", now.mapped),
            ("AnonPages", now.anonymous),
            ("Shmem", now.shmem),
            ("PageTables", now.tables),
        )
        return "\n".join([f"Node 0 {name + ':':<15}{size >> 10:>8} kB" for name, size in rows])

    return _dir(
        {
            **{f"cpu{cpu}": PseudoLink(b"../../cpu/cpu%d" % cpu) for cpu in range(CPUS)},
            "cpulist": cpu_list(CPUS),
            "cpumap": cpu_mask((1 << CPUS) - 1),
            "distance": "10",
            "meminfo": lambda: _text(meminfo),
            "numastat": "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0",
        }
    )


def _nodes(kernel: Kernel) -> TableDir:
    return _dir(
        {
            "has_cpu": "0",
            "has_memory": "0",
            "has_normal_memory": "0",
            "node0": lambda: _node(kernel),
            "online": "0",
            "possible": "0",
        }
    )


# Pages may be marked for it (MADV_MERGEABLE), and it is switched off, as it is on Linux at first.
KSM: dict[str, str] = {
    **dict.fromkeys(("full_scans", "run", "use_zero_pages"), "0"),
    **dict.fromkeys(("pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "pages_scanned"), "0"),
    "max_page_sharing": "256",
    "merge_across_nodes": "1",
    "pages_to_scan": "100",
    "sleep_millisecs": "20",
}


def _kernel() -> TableDir:
    return _dir(
        {
            "mm": lambda: _dir(
                {
                    "hugepages": lambda: _dir({}),
                    "ksm": lambda: _dir(KSM),
                    "transparent_hugepage": lambda: _dir(
                        {
                            "defrag": "always defer defer+madvise [madvise] never",
                            "enabled": "always madvise [never]",
                            "hpage_pmd_size": "2097152",
                            "shmem_enabled": "always within_size advise [never] deny force",
                            "use_zero_page": "0",
                        }
                    ),
                }
            ),
        }
    )


def make_sysfs(kernel: Kernel) -> PseudoDir:
    """The root of a sysfs."""
    fs = PseudoFs(SYSFS_MAGIC, SYSFS_DEV, kernel.clock.realtime_ns, file_size=4096)
    devices = {"system": lambda: _dir({"cpu": lambda: _cpus(kernel), "node": lambda: _nodes(kernel)})}
    root = _dir(
        {
            "block": lambda: _dir({}),
            "bus": lambda: _dir(_empty("cpu", "node", "pci")),
            "class": lambda: _dir(_empty("block", "drm", "input", "net", "power_supply", "thermal", "tty")),
            "dev": lambda: _dir(_empty("block", "char")),
            "devices": lambda: _dir(devices),
            "firmware": lambda: _dir({}),
            "fs": lambda: _dir(_empty("cgroup")),
            "kernel": _kernel,
            "module": lambda: _dir({}),
            "power": lambda: _dir({}),
        }
    )
    root.mode = 0o40555
    return fs.root(root)
