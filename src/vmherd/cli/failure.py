"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from vmherd.errors import (
    AlreadyExists,
    Busy,
    Cancelled,
    ConnectFailed,
    HostError,
    InvalidArgument,
    InvalidState,
    NotFound,
    VmherdError,
)

FAILED = 1
USAGE = 2
NOT_FOUND = 3
WRONG_STATE = 4
HOST = 5
INTERRUPTED = 130  # 128 + SIGINT, as shells count

_CODES: tuple[tuple[type[VmherdError], int], ...] = (
    (InvalidArgument, USAGE),
    (NotFound, NOT_FOUND),
    (InvalidState, WRONG_STATE),
    (Busy, WRONG_STATE),
    (AlreadyExists, WRONG_STATE),
    (ConnectFailed, HOST),
    (HostError, HOST),
    (Cancelled, INTERRUPTED),
)


def exit_code(problem: VmherdError) -> int:
    """The exit code that tells scripts what kind of failure it was."""
    return next((code for kind, code in _CODES if isinstance(problem, kind)), FAILED)


def complain(problem: VmherdError, *, about: str = "") -> None:
    """Say on standard error what went wrong, and what to do about it."""
    what = f"{about}: {problem}" if about else str(problem)
    click.secho(f"error: {what}", err=True, fg="red" if sys.stderr.isatty() else None)
    if problem.hint:
        click.echo(f"hint: {problem.hint}", err=True)


def guarded(work: Callable[[], object], *, debug: bool = False) -> int:
    """Do ``work``; 0, or the exit code of what went wrong after saying so."""
    try:
        result = work()
        return result if isinstance(result, int) else 0
    except VmherdError as problem:
        if debug:
            raise
        complain(problem)
        return exit_code(problem)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:  # a bug: told in a line, not as a traceback
        if debug:
            raise
        while isinstance(problem, ExceptionGroup):  # of several that went on at once
            problem = problem.exceptions[0]
        click.echo(f"error: {type(problem).__name__}: {problem}", err=True)
        click.echo("hint: this is a bug in vmherd; 'vmherd --debug ...' shows where", err=True)
        return FAILED
