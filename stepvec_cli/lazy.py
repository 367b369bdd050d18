"""Groups of commands that are imported when they are called, and not to be listed."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer._click.shell_completion import CompletionItem
from typer.core import TyperGroup

from stepvec_cli.commands import COMMANDS, LOCAL, LOCAL_HELP, Row, Section
from stepvec_cli.common import with_common_options
from stepvec_cli.help import Command, without_pydantic

_SETTINGS: Final[dict[str, Any]] = {
    # Plain text: it wraps at any width, where typer's tables squeeze the words into a column, and rich need not be
    # imported.
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, in the table's order, each made when it is first asked for."""

    def __init__(self, sections: tuple[Section, ...]) -> None:
        self._rows = {row.name: row for section in sections for row in section.rows}
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _command(self._rows[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"the table has the command {name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class LazyGroup(TyperGroup):
    """A group of the commands in `sections`. Listing them, or completing the name of one, imports none."""

    sections: ClassVar[tuple[Section, ...]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands(self.sections)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options, with flags that are false where they are not given."""
        return without_pydantic(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The commands' names, in the table's order."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the commands of each section below its title."""
        width = max(len(name) for name in self.commands)
        for section in self.sections:
            with formatter.section(section.title):
                formatter.write_dl([(f"{row.name:<{width}}", row.help) for row in section.rows])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Commands, or options, whose names begin so."""
        rows = [row for section in self.sections for row in section.rows if row.name.startswith(incomplete)]
        # Not TyperGroup's, which would ask every command for its help.
        options = super(TyperGroup, self).shell_complete(ctx, incomplete)
        return [*(CompletionItem(row.name, help=row.help) for row in rows), *options]


class _Root(LazyGroup):
    sections = COMMANDS


class _Local(LazyGroup):
    sections = LOCAL


def root_group(help_text: str) -> typer.Typer:
    """The Typer of all commands, without a callback."""
    return typer.Typer(name="stepvec", cls=_Root, help=help_text, no_args_is_help=True, **_SETTINGS)


def _command(row: Row) -> Any:
    if not row.target:
        local = typer.Typer(
            name=row.name, cls=_Local, add_completion=False, help=LOCAL_HELP, no_args_is_help=True, **_SETTINGS
        )
        local.callback()(lambda: None)  # with none, and no command of its own, Typer makes nothing
        return typer.main.get_command(local)
    module, _, function = row.target.partition(":")
    single = typer.Typer(add_completion=False, **_SETTINGS)
    command = getattr(import_module(f"stepvec_cli.{module}"), function)
    single.command(row.name, cls=Command)(with_common_options(command, aws=row.aws, account=row.account))
    return typer.main.get_command(single)
