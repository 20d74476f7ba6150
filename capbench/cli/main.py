"""The command line: one file a command. Only this file prints errors and chooses exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from typing import Any

import click

from capbench.errors import CapbenchError

COMMANDS = (
    "run", "sweep", "score", "list", "leaderboard", "view", "compare", "regress", "export", "export-replies",
    "metaeval", "judgements", "arena", "idf", "bags", "export-encoder", "cache", "doctor",
)  # fmt: skip
INTERRUPTED, CUT_OFF = 130, 141
OURS = "  -> this is a fault of capbench or of a plugin; -v shows where"


class Lazy(click.Group):
    """A group whose commands are imported when they are asked for, so that --help stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which one meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"capbench.cli.{cmd_name.replace('-', '_')}_command").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Click would exit with 1 where nobody reads the output, which is the answer no."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise CutOff from error


class CutOff(Exception):
    """Nobody reads the output any more, as after ``| head -1``."""


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="capbench", prog_name="capbench")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
def cli(verbose: bool) -> None:
    """Which captioner describes images best, by which measure, and how sure are we?

    Exit codes: 0 fine, 1 the answer is no, 2 wrong usage, 3 something is missing, 4 data are wrong or
    not comparable, 5 finished with too many items unscored, 6 it could not be done, 130 interrupted,
    141 output cut off (| head).
    """


def main(arguments: list[str] | None = None) -> None:
    """Run, print an error as one block with its cure, exit with its code."""
    words = sys.argv[1:] if arguments is None else arguments
    verbose = any(word in ("-v", "--verbose") for word in words)
    words = [word for word in words if word not in ("-v", "--verbose")]
    try:
        code: Any = cli.main(words, prog_name="capbench", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; what was done is kept, the same command goes on from there")
        code = INTERRUPTED
    except CapbenchError as error:
        if verbose:
            traceback.print_exc()
        say(f"capbench: {error}")
        code = error.exit_code
    except CutOff:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
        code = CUT_OFF
    except Exception as error:  # noqa: BLE001 -- the last place before the user
        if verbose:
            traceback.print_exc()
        say(refused(error) or f"capbench: {type(error).__name__}: {error}\n{OURS}")
        code = CapbenchError.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def refused(error: Exception) -> str:
    """What the system does not let us do, by the name of the file; "" where the fault may be ours."""
    if not isinstance(error, OSError) or not error.strerror:
        return ""
    if error.filename:
        return f"capbench: {error.filename}: {error.strerror}"
    return f"capbench: cannot write the output: {error.strerror}" if error.errno == errno.ENOSPC else ""


def say(text: str) -> None:
    """Print on stderr, whatever characters the text has."""
    click.echo(text.encode("utf-8", "backslashreplace").decode(), err=True)
