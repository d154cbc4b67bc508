"""The command line: a file per verb; each parses, calls the workspace, and prints.

Exit codes: 0 ok, 1 failed, 2 usage or settings, 3 a gate not met, 4 not allowed (a key),
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from slimdown.errors import GateNotMet, KeyProblem, SlimdownError, UsageError

_KEPT = "What was finished is kept; the same command goes on from there."
FAILED, USAGE, GATE, NOT_ALLOWED, INTERRUPTED = 1, 2, 3, 4, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; no traceback reaches a user."""
    sys.exit(execute(list(sys.argv[1:] if arguments is None else arguments)))


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from typer.exceptions import Abort, TyperException

    from slimdown.cli.app import app
    from slimdown.cli.output import ReaderGone, print_error

    as_json = "--json" in arguments
    try:
        code = app(args=arguments, prog_name="slimdown", standalone_mode=False)
        if code == INTERRUPTED:  # what Typer makes of an interrupt; the user is to be told of it
            raise KeyboardInterrupt
    except TyperException as error:
        print_error(error.format_message(), as_json=as_json, hint="slimdown --help")
        return USAGE
    except SlimdownError as error:
        print_error(str(error), as_json=as_json)
        return exit_code(error)
    except (KeyboardInterrupt, Abort):
        kept = "Nothing was kept." if arguments[:1] == ["scan"] else _KEPT
        print_error(f"interrupted. {kept}", as_json=as_json)
        return INTERRUPTED
    except ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def exit_code(error: SlimdownError) -> int:
    """Return the stable exit code of an error."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, GateNotMet):
        return GATE
    return NOT_ALLOWED if isinstance(error, KeyProblem) else FAILED
