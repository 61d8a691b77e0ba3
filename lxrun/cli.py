"""The `lxrun` command: from argv to the guest's exit status.

Only what a run needs is imported, and late: the whole of `lxrun /bin/busybox true` has 120 ms.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from lxrun.options import Options

from lxrun import options as command
from lxrun.descriptors import inherited_descriptors

INTERNAL = 125


def entry() -> NoReturn:
    """The console script: run `sys.argv` and leave with its status.

    The guest is over, so the interpreter is not torn down object by object: that would add some
    10 ms to every run.  A profiler, a tracer or coverage.py wants its own exit and gets it.
    """
    gc.disable()  # nothing that is made while starting becomes garbage; looking for it takes 4 ms
    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass
    if sys.gettrace() or sys.getprofile() or "COVERAGE_PROCESS_START" in os.environ:
        sys.exit(status)
    os._exit(status)


def main(argv: list[str]) -> int:
    """Run the command line `argv` (without the program's name); the exit status."""
    try:
        options = command.parse(argv)
    except command.UsageError as error:
        say(str(error))
        return INTERNAL
    if options.help or options.version or options.completion:
        return _inform(options)
    return _guarded(options)


def _inform(options: Options) -> int:
    if options.help:
        text = command.help_text()
    elif options.version:
        from lxrun import __version__

        text = f"lxrun {__version__}\n"
    else:
        from lxrun.completion import script

        text = script(options.completion or "")
    return show(text)


def show(text: str) -> int:
    """Print lxrun's own words on standard output; the exit status."""
    if sys.stdout is None:
        say("standard output is closed")
        return INTERNAL
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"standard output: {error.strerror}")
        return INTERNAL
    return 0


def _guarded(options: Options) -> int:
    """Run the guest; whatever goes wrong becomes one line and a status."""
    try:
        descriptors = inherited_descriptors(options)
        if options.explain:
            from lxrun.explain import run
        elif options.backend == "vm":
            from lxrun.vmachine import run
        elif options.backend == "auto":
            from lxrun.auto import run
        else:
            from lxrun.machine import run
        status = run(options, descriptors)
    except KeyboardInterrupt:
        # Before the guest has its own handling, or after: die as an interrupted command does.
        return _ended(options, 2)
    except Exception as error:
        return _failed(options, error)
    if status & 0x7F:
        return _ended(options, status & 0x7F, dumped=bool(status & 0x80))
    code = status >> 8 & 0xFF
    _report(options, f"exit {code}")
    return code


def _ended(options: Options, signo: int, dumped: bool = False) -> int:
    """The guest was killed by a signal: say what a shell would say."""
    if not _report(options, f"signal {signo}"):
        from lxrun.diagnostics import signal_message

        message = signal_message(signo, dumped)
        if message:
            write_error(message + "\n")
    return 128 + signo


def _failed(options: Options, error: Exception) -> int:
    """lxrun itself failed: one line, and the traceback only for those who ask."""
    from lxrun.diagnostics import RunFailure

    if os.environ.get("LXRUN_DEBUG") and not isinstance(error, RunFailure):
        import traceback

        write_error("".join(traceback.format_exception(error)))
    if isinstance(error, RunFailure):
        status, text = error.status, str(error)
    elif isinstance(error, ModuleNotFoundError):
        status = INTERNAL
        text = f"the Python package {error.name} is missing; install lxrun again: pip install lxrun"
    else:
        status = INTERNAL
        text = f"internal error: {type(error).__name__}: {_one_line(error)} (LXRUN_DEBUG=1 shows where)"
    if not _report(options, f"error {status} {text}"):
        say(text)
    return status


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no details"


def _report(options: Options, text: str) -> bool:
    """Tell `lxrun.run` how the run ended, if it was that which started us."""
    if options.report_fd is None:
        return False
    try:
        os.write(options.report_fd, text.encode(errors="surrogateescape"))
    except OSError:
        return False
    return True


def say(text: str) -> None:
    """One line of lxrun's own on standard error."""
    write_error(f"lxrun: {text}\n")


def write_error(text: str) -> None:
    """Write to descriptor 2, and never fail: there is nobody left to tell."""
    try:
        os.write(2, text.encode(errors="surrogateescape"))
    except OSError:
        pass


def _silence(fd: int) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush does not complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
