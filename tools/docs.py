"""Write docs/commands.md from the commands' own help; with --check, fail when it is not current."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from capbench.cli.main import COMMANDS, cli

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
HEAD = "# Commands\n\nGenerated from the commands' help by `make docs`.\n"


def page() -> str:
    """The page as it should be."""
    root = click.Context(cli, info_name="capbench", help_option_names=["-h", "--help"])
    root.max_content_width = root.terminal_width = 100
    parts = [HEAD, block("capbench", cli.get_help(root))]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        parts += help_of(command, f"capbench {name}", root) if command is not None else []
    return "\n".join(parts)


def help_of(command: click.Command, title: str, parent: click.Context) -> list[str]:
    """A command's help, and that of its own commands."""
    context = click.Context(command, info_name=title.rpartition(" ")[2], parent=parent)
    context.max_content_width = context.terminal_width = 100
    parts = [block(title, command.get_help(context))]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            parts += help_of(command.commands[name], f"{title} {name}", context)
    return parts


def block(title: str, text: str) -> str:
    """One heading with the help below it."""
    return f"## {title}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    wanted = page()
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != wanted:
            sys.exit(f"{TARGET.name} is not current: make docs")
    else:
        TARGET.write_text(wanted, encoding="utf-8")
