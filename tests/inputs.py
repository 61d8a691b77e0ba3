"""Input files of the tests with real programs: the same bytes on every machine and every run."""

from __future__ import annotations

import json
import os
import random
from functools import cache
from pathlib import Path

from harness import BUILD

LARGE = BUILD / "inputs"

_WORDS = [
    "the",
    "kernel",
    "owns",
    "all",
    "truth",
    "an",
    "engine",
    "is",
    "only",
    "a",
    "cpu",
    "with",
    "tlb",
    "it",
    "runs",
    "register",
    "set",
    "in",
    "address",
    "space",
    "until",
    "something",
    "happens",
    "and",
    "asks",
    "for",
    "page",
    "when",
    "misses",
    "fault",
    "signal",
    "file",
    "path",
    "mount",
    "pipe",
    "socket",
    "thread",
    "clock",
    "timer",
    "memory",
    "frame",
]


def _text(lines: int, seed: int) -> str:
    rng = random.Random(seed)
    return "".join(" ".join(rng.choices(_WORDS, k=rng.randint(1, 14))) + "\n" for _ in range(lines))


def small(work: Path) -> None:
    """One of every kind of file in the work directory, with fixed times."""
    rng = random.Random(1)
    text = _text(400, 2)
    changed = text.replace("kernel", "Kernel").splitlines(keepends=True)
    del changed[10:15]
    changed[100:100] = ["a new line\n", "\n", "another\twith a tab\n"]
    write = {
        "text": text,
        "changed": "".join(changed),
        "tabs": "".join(f"{n}\t{n * n}\t{'x' * (n % 7)}\n" for n in range(60)),
        "numbers": "".join(f"{rng.randint(-(10**6), 10**6)}\n" for _ in range(2000)),
        "floats": "".join(
            f"{rng.uniform(-1e3, 1e3):.6f} {rng.choice('KMG')} {rng.randint(0, 99)}%\n" for _ in range(300)
        ),
        "left": "".join(f"{n:03} left{n}\n" for n in range(0, 200, 2)),
        "right": "".join(f"{n:03} right{n}\n" for n in range(0, 200, 3)),
        "table.csv": "id,name,value\n" + "".join(f"{n},name{n % 17},{n * 37 % 1001}\n" for n in range(500)),
        "pairs": "a b\nb c\nc d\na d\nx y\ny z\n",
        "latin": "caf\u00e9 na\u00efve \u00fcber stra\u00dfe \u65e5\u672c\u8a9e\n" * 5,
        "long": "0123456789" * 700 + "\n" + "word " * 500 + "\n",
        "empty": "",
        "no_newline": "last line has no end",
        "script.sed": "s/kernel/KERNEL/g\n/page/{\n  =\n  y/abc/ABC/\n}\n$a\\\nthe end\n",
        "data.json": json.dumps(
            {"items": [{"id": n, "tags": _WORDS[n : n + 3], "v": n / 7} for n in range(40)]}, indent=1
        ),
    }
    for name, content in write.items():
        (work / name).write_text(content, encoding="utf-8")
    (work / "binary").write_bytes(rng.randbytes(20000) + bytes(5000) + b"text in the middle\n" + bytes(range(256)))
    (work / "tree/deep/er").mkdir(parents=True)
    (work / "tree/empty").mkdir()
    (work / "tree/a.txt").write_text("alpha\n")
    (work / "tree/b.c").write_text("int main(void) { return 0; }\n")
    (work / "tree/deep/c.txt").write_text("gamma kernel\n")
    (work / "tree/deep/er/d.bin").write_bytes(bytes(10000))
    (work / "tree/deep/link").symlink_to("../a.txt")
    (work / "tree/dangling").symlink_to("nowhere")
    os.link(work / "tree/a.txt", work / "tree/hard")
    (work / "tree/script.sh").write_text("#!/bin/sh\necho run\n")
    (work / "tree/script.sh").chmod(0o755)
    (work / "tree/secret").write_text("secret\n")
    (work / "tree/secret").chmod(0o600)
    os.mkfifo(work / "tree/fifo")
    set_times(work)


def set_times(work: Path) -> None:
    """Give every file below `work` a time of its own, the same on every run."""
    for n, path in enumerate(sorted(work.rglob("*"))):
        when = 1_600_000_000 + n * 86_400 * 3
        os.utime(path, (when, when), follow_symlinks=False)
    os.utime(work, (1_500_000_000, 1_500_000_000))


def _large(name: str, content: bytes) -> Path:
    path = LARGE / name
    if not path.exists() or path.stat().st_size != len(content):
        LARGE.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        os.utime(fresh, (1_600_000_000, 1_600_000_000))
        fresh.replace(path)
    return path


@cache
def million_lines() -> Path:
    """A million short lines in no order."""
    order = list(range(1_000_000))
    random.Random(3).shuffle(order)
    return _large("million", "\n".join(f"{n * 7919 % 1_000_003:06}" for n in order).encode() + b"\n")


@cache
def megabytes() -> Path:
    """Four megabytes of compressible text."""
    return _large("megabytes", (_text(3000, 4) * 20)[: 4 << 20].encode())


@cache
def python_script() -> Path:
    """A Python program of 2,000 lines: classes, closures, generators, exceptions, containers."""
    lines = [
        "import functools",
        "import re",
        "import sys",
        "total = 0",
        "registry = {}",
        "def register(f):",
        "    registry[f.__name__] = f",
        "    return f",
    ]
    for n in range(110):
        lines += [
            f"class Shape{n}({'object' if n % 5 == 0 else f'Shape{n - 1}'}):",
            f"    sides = {n % 9 + 3}",
            "    def __init__(self, *sizes, **options):",
            "        self.sizes = sizes",
            "        self.options = options",
            "    def area(self):",
            f"        return sum(s * {n + 1} for s in self.sizes) % 1000003",
            "    def __repr__(self):",
            "        return f'{type(self).__name__}{self.sizes!r}'",
            "@register",
            f"def step{n}(x):",
            f"    shape = Shape{n}(x, x + {n}, name='s{n}')",
            "    try:",
            f"        if x % {n % 7 + 2} == 0:",
            f"            raise ValueError('multiple of {n % 7 + 2}')",
            "    except ValueError as e:",
            "        return shape.area() + len(repr(shape)) + int(re.sub(r'\\D', '', str(e)))",
            "    return shape.area()",
        ]
    while len(lines) < 1990:
        lines.append(f"registry['extra{len(lines)}'] = lambda x, k={len(lines)}: (x * k) % 97")
    lines += [
        "def run():",
        "    seen = {}",
        "    for name, f in registry.items():",
        "        for x in range(6):",
        "            seen[name, x] = f(x)",
        "    return seen",
        "seen = run()",
        "digest = functools.reduce(lambda a, b: (a * 31 + b) % (1 << 61), seen.values(), 7)",
        "print(len(seen), digest, sorted(registry)[:5], sum(seen.values()))",
        "sys.exit(3)",
    ]
    assert len(lines) == 2000, len(lines)
    return _large("script.py", "\n".join(lines).encode() + b"\n")
