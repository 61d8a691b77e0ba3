"""The command's options: one table from which parsing, `--help`, shell completion and docs/command.md come.

The parser is our own because the rules are few (getopt_long's, stopping at the first operand) and
`argparse` costs 11 ms of the 120 ms in which a whole run has to be over.
"""

from __future__ import annotations

import os

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

# How an option takes its value.
FLAG, VALUE, OPTIONAL = "flag", "value", "optional"


class UsageError(Exception):
    """The command line is wrong; the text is one line for the user."""


class Volume:
    """A host file or directory shown at a place in the guest (`-v`)."""

    __slots__ = ("guest", "host", "read_only")

    def __init__(self, host: str, guest: str, read_only: bool) -> None:
        self.host = host
        self.guest = guest
        self.read_only = read_only


class Options:
    """A parsed command line; an attribute is named for its option."""

    __slots__ = (
        "args",
        "backend",
        "clear_env",
        "completion",
        "cwd",
        "engine",
        "env",
        "explain",
        "gdb",
        "help",
        "memory",
        "output",
        "program",
        "report_fd",
        "root_id",
        "rootfs",
        "stats",
        "strace",
        "string_size",
        "version",
        "vm_kernel",
        "volumes",
    )

    def __init__(self) -> None:
        self.rootfs: str | None = None
        self.root_id = False
        self.volumes: list[Volume] = []
        self.env: list[tuple[str, str]] = []
        self.clear_env = False
        self.cwd: str | None = None
        self.backend = "auto"
        self.engine = "unicorn"
        self.vm_kernel: str | None = None
        self.strace: str | None = None  # "": every call
        self.output: str | None = None
        self.string_size: int | None = None
        self.stats = False
        self.explain = False
        self.gdb: int | None = None
        self.memory: int | None = None  # bytes
        self.report_fd: int | None = None
        self.version = False
        self.help = False
        self.completion: str | None = None
        self.program: str | None = None
        self.args: list[str] = []


class Option:
    """One line of the table.  `apply` stores a value into `Options`, or raises ValueError with what is wrong."""

    __slots__ = ("apply", "attribute", "choices", "completes", "group", "help", "long", "metavar", "short", "takes")

    def __init__(
        self,
        group: str,
        short: str,
        long: str,
        metavar: str,
        help: str,
        *,
        takes: str = VALUE,
        attribute: str = "",
        choices: tuple[str, ...] = (),
        completes: str = "",
    ) -> None:
        self.group = group  # heading in --help; empty: an option for lxrun's own use, not shown
        self.short = short
        self.long = long
        self.metavar = metavar
        self.help = help
        self.takes = takes
        self.attribute = attribute or long[2:].replace("-", "_")
        self.choices = choices
        self.completes = completes  # what a shell offers for the value: "file", "directory" or nothing

    def spelling(self) -> str:
        """How --help writes it: `-o, --output FILE`."""
        names = [name for name in (self.short, self.long) if name]
        text = ", ".join(names)
        if self.takes == VALUE:
            return f"{text} {self.metavar}"
        return f"{text}[={self.metavar}]" if self.takes == OPTIONAL else text

    def store(self, options: Options, value: str) -> None:
        """Check `value` and keep it.  Raises ValueError with the reason it will not do."""
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        name = self.attribute
        if self.takes == FLAG:
            setattr(options, name, True)
        elif name == "volumes":
            options.volumes.append(parse_volume(value))
        elif name == "env":
            options.env += parse_variable(value)
        elif name == "memory":
            options.memory = parse_size(value)
        elif name in ("string_size", "report_fd", "gdb"):
            if not (value.isascii() and value.isdigit()):
                raise ValueError(f"{value!r} is not a number")
            setattr(options, name, int(value))
        else:
            if not value and self.takes == VALUE:
                raise ValueError(f"{self.metavar} is empty")
            setattr(options, name, value)


WORLD, WATCH, REST = "The guest's world", "Watching it", "About lxrun"

TABLE = (
    Option(
        WORLD,
        "",
        "--rootfs",
        "DIR",
        "the guest's root directory (default: the host's /, with your own rights)",
        completes="directory",
    ),
    Option(
        WORLD,
        "-0",
        "--root-id",
        "",
        "be root in the guest; owners and modes it gives to files are kept in an attribute of theirs",
        takes=FLAG,
    ),
    Option(
        WORLD,
        "-v",
        "--volume",
        "HOST:GUEST[:ro]",
        "show a host file or directory at GUEST, read-only with :ro; may be repeated",
        attribute="volumes",
        completes="file",
    ),
    Option(
        WORLD,
        "-E",
        "--env",
        "NAME=VALUE",
        "set an environment variable; NAME alone takes the host's value; may be repeated",
    ),
    Option(WORLD, "", "--clear-env", "", "start with an empty environment instead of the host's", takes=FLAG),
    Option(
        WORLD,
        "-w",
        "--workdir",
        "DIR",
        "working directory in the guest (default: the one you are in if the guest has it, else /)",
        attribute="cwd",
    ),
    Option(WORLD, "", "--memory", "SIZE", "most memory the guest may use: 512m, 2g"),
    Option(
        WORLD,
        "",
        "--backend",
        "NAME",
        "who is the kernel: emulate (lxrun itself), vm (real Linux, in QEMU) or auto, emulate if it can (default)",
        choices=("auto", "emulate", "vm"),
    ),
    Option(WORLD, "", "--engine", "NAME", "what executes the instructions: unicorn", choices=("unicorn",)),
    Option(
        WORLD,
        "",
        "--vm-kernel",
        "FILE",
        "the kernel that a VM runs (default: what `lxvm setup` fetched, or the host's own)",
        completes="file",
    ),
    Option(
        WATCH,
        "",
        "--strace",
        "EXPR",
        "print system calls as strace does; EXPR chooses: trace=file,process or write",
        takes=OPTIONAL,
    ),
    Option(WATCH, "-o", "--output", "FILE", "write what --strace prints to FILE, not to stderr", completes="file"),
    Option(WATCH, "-s", "--string-size", "N", "most bytes of a string that --strace prints (default: 32)"),
    Option(WATCH, "", "--gdb", "PORT", "wait for gdb on this port of the loopback interface (0: any), and be debugged"),
    Option(WATCH, "", "--stats", "", "print a table at exit: calls, errors, times, page faults, memory", takes=FLAG),
    Option(
        WATCH,
        "",
        "--explain",
        "",
        "run nothing; print what the program is, which instructions it has, and which backend would run it",
        takes=FLAG,
    ),
    Option(REST, "-h", "--help", "", "print this help", takes=FLAG),
    Option(REST, "-V", "--version", "", "print the version", takes=FLAG),
    Option(
        REST,
        "",
        "--completion",
        "SHELL",
        "print a completion script: bash, zsh or fish",
        choices=("bash", "zsh", "fish"),
    ),
    Option("", "", "--report-fd", "FD", "for lxrun.run: how the run ended is written to this descriptor"),
)

EXAMPLES = (
    ("lxrun ./binary", "run a program on your own files"),
    ("lxrun --rootfs alpine /bin/sh", "run a shell in an unpacked root filesystem"),
    ("lxrun --rootfs alpine -v ~/src:/src:ro -w /src ls -l", "show it a folder of yours, read-only"),
    ("lxrun --clear-env -E LANG=C env", "choose its environment"),
    ("lxrun --strace=trace=file -o calls.txt ls", "record the calls that name a file"),
    ("lxrun --backend vm uname -r", "let real Linux run it, in a VM"),
    ("lxrun --memory 512m --stats sort big.txt", "limit its memory and see what it used"),
)


def parse(argv: list[str]) -> Options:
    """Options before the program are ours, all after it are the guest's.  Raises UsageError."""
    options = Options()
    index = 0
    while index < len(argv):
        word = argv[index]
        if word == "--":
            index += 1
            break
        if len(word) < 2 or word[0] != "-":
            break
        index += 1
        if word[1] == "-":
            name, equals, attached = word.partition("=")
            option = _find(name)
            value = attached if equals else None
        else:
            name = word[:2]
            option = _find(name)
            value = word[2:] or None
        if option.takes == VALUE and value is None:
            if index == len(argv):
                raise UsageError(f"{name} needs a value: {option.spelling()}")
            value = argv[index]
            index += 1
        if option.takes == FLAG and value is not None:
            if word[1] != "-":  # -hV: flags in one word
                argv = [*argv[:index], "-" + value, *argv[index:]]
            else:
                raise UsageError(f"{name} takes no value")
        try:
            option.store(options, value or "")
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    if index < len(argv):
        options.program = argv[index]
        options.args = argv[index + 1 :]
    _check(options)
    return options


def _find(name: str) -> Option:
    for option in TABLE:
        if name in (option.long, option.short):
            return option
    from difflib import get_close_matches

    near = get_close_matches(name, [option.long for option in TABLE if option.group], 1)
    hint = f"; did you mean {near[0]}?" if near and name.startswith("--") else "; see lxrun --help"
    raise UsageError(f"unknown option {name}{hint}")


def _check(options: Options) -> None:
    if options.help or options.version or options.completion:
        return
    if options.strace is None:
        for value, name in ((options.output, "-o"), (options.string_size, "-s")):
            if value is not None:
                raise UsageError(f"{name} says how --strace prints, and --strace was not given")
    if options.backend == "vm":
        _check_vm(options)
    elif options.vm_kernel is not None and options.backend == "emulate":
        raise UsageError("--vm-kernel names the kernel of a VM, and with --backend emulate there is none")
    if options.program is None:
        raise UsageError("no program given: lxrun [OPTIONS] PROGRAM [ARGS...]; see lxrun --help")


def _check_vm(options: Options) -> None:
    """What a kernel that is not lxrun's own cannot be asked."""
    for given, name, instead in (
        (options.gdb is not None, "--gdb", "; a gdb of the guest's runs in the VM: lxrun --backend vm gdb PROGRAM"),
        (options.root_id, "--root-id", ""),
    ):
        if given:
            raise UsageError(f"{name} needs lxrun's own kernel, and with --backend vm there is none{instead}")


def parse_volume(text: str) -> Volume:
    """`HOST:GUEST[:ro]`.  The guest's path is the last part, so that a host path may hold colons."""
    rest, read_only = text, False
    for suffix in (":ro", ":rw"):
        if text.endswith(suffix):
            rest, read_only = text[:-3], suffix == ":ro"
    host, colon, guest = rest.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{text!r} is not HOST:GUEST or HOST:GUEST:ro")
    if not guest.startswith("/"):
        raise ValueError(f"the guest's path {guest!r} must start with /")
    return Volume(host, guest, read_only)


def parse_variable(text: str) -> list[tuple[str, str]]:
    """`NAME=VALUE`, or `NAME` for the host's value; nothing if the host has none."""
    name, equals, value = text.partition("=")
    if not name:
        raise ValueError(f"{text!r} has no name")
    if equals:
        return [(name, value)]
    return [(name, os.environ[name])] if name in os.environ else []


def parse_size(text: str) -> int:
    """Bytes: a number with k, m, g or t for powers of 1024."""
    number, unit = text.rstrip("BbIi").lower(), ""
    if number[-1:] in UNITS:
        number, unit = number[:-1], number[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in UNITS or int(number) == 0:
        raise ValueError(f"{text!r} is not a size such as 512m or 2g")
    return int(number) * UNITS[unit]


def help_text() -> str:
    """What `lxrun --help` prints."""
    lines = [
        "Usage: lxrun [OPTIONS] PROGRAM [ARGS...]",
        "",
        "Run an unmodified Linux program without a Linux kernel. Options before PROGRAM are",
        "lxrun's; everything after it belongs to the program.",
    ]
    shown = [option for option in TABLE if option.group]
    width = max(len(option.spelling()) for option in shown) + (4 if any(not o.short for o in shown) else 0)
    for group in (WORLD, WATCH, REST):
        lines += ["", group + ":"]
        for option in shown:
            if option.group == group:
                spelling = option.spelling() if option.short else "    " + option.spelling()
                lines += _fold(f"  {spelling:{width}}  ", option.help, 100)
    lines += ["", "Examples:"]
    wide = max(len(command) for command, _ in EXAMPLES)
    for command, what in EXAMPLES:
        lines.append(f"  {command:{wide}}  {what}")
    lines += [
        "",
        "The exit status is the program's, or 128 + n when signal n killed it. lxrun's own failures:",
        "125 something inside lxrun, 126 found but cannot be run, 127 not found.",
    ]
    return "\n".join(lines) + "\n"


def _fold(head: str, text: str, width: int) -> list[str]:
    lines, line = [], head
    for word in text.split():
        if len(line) + len(word) > width and line.strip() and line != " " * len(head):
            lines.append(line.rstrip())
            line = " " * len(head)
        line += word + " "
    return [*lines, line.rstrip()]
