"""How the help of a command is laid out: plain text that reads at 60 columns as at 80."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from typer.core import TyperCommand, TyperOption

EXAMPLES: Final = "\nExamples:\n"
"""In a command's docstring, before the lines that a user would type."""
COMMON: Final = frozenset({"as_json", "data_stack", "pipeline_stack", "profile", "region", "quiet", "help"})
"""Options that many commands have: they come last, under a title of their own."""
_TYPES: Final = {int: "NUMBER", float: "NUMBER", str: "TEXT"}
_LONG_CHOICES: Final = 24
"""Characters of choices beyond which they are listed in the words, and not where the value stands."""


class Command(TyperCommand):
    """A command whose help has its arguments, its options, those that many have, and examples."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name in its usage line."""
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        return ["[OPTIONS]", *(_metavar(param) for param in arguments)]

    def get_params(self, ctx: Any) -> list[Any]:
        """Its arguments and options, with flags that are false where they are not given."""
        return without_pydantic(super().get_params(ctx))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write what the command does."""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(self.description)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, options and examples."""
        params = [param for param in self.get_params(ctx) if not param.hidden]
        options = [param for param in params if param.param_type_name == "option"]
        for title, shown in (
            ("Arguments", [param for param in params if param.param_type_name == "argument"]),
            ("Options", [option for option in options if option.name not in COMMON]),
            ("Common options", [option for option in options if option.name in COMMON]),
        ):
            if shown:
                with formatter.section(title):
                    formatter.write_dl([_line(param, ctx) for param in shown], col_max=formatter.width // 3)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples))

    @property
    def description(self) -> str:
        """The docstring without its examples."""
        return _text(self).partition(EXAMPLES)[0].strip()

    @property
    def examples(self) -> list[str]:
        """The lines of the docstring's examples."""
        return inspect.cleandoc(_text(self).partition(EXAMPLES)[2]).splitlines()


def without_pydantic(params: list[Any]) -> list[Any]:
    """`params`, their flags false at once where they are not given: to turn typer's None into that takes pydantic."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag and param.default is None:
            param.default = False
    return params


def _text(command: TyperCommand) -> str:
    return inspect.cleandoc(command.help or "")


def _line(param: Any, ctx: Any) -> tuple[str, str]:
    """What is typed, and what it means with its default and its bounds."""
    words = [param.help or "", *_notes(param, ctx)]
    if not isinstance(param, TyperOption):
        return _metavar(param), " ".join(filter(None, words))
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag else f"{names} {_metavar(param)}", " ".join(filter(None, words))


def _notes(param: Any, ctx: Any) -> Iterator[str]:
    choices = param.type_descriptor.choices
    if choices and param.metavar is None and len(_joined(choices)) > _LONG_CHOICES:
        yield f"One of: {_joined(choices, ', ')}."
    notes = [_range(param.min, param.max)]
    default = param.get_default(ctx, call=False)
    if isinstance(param.show_default, str):
        notes.append(f"default: {param.show_default}")
    elif param.show_default and default is not None and default is not False and default != "":
        notes.append(f"default: {default.value if isinstance(default, Enum) else default}")
    if told := "; ".join(filter(None, notes)):
        yield f"[{told}]"


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"at least {least:,}"
    return f"at most {most:,}" if least is None else f"{least:,} to {most:,}"


def _metavar(param: Any) -> str:
    """What stands for the value."""
    if param.metavar is not None:
        return str(param.metavar)
    descriptor = param.type_descriptor
    if descriptor.choices and len(joined := _joined(descriptor.choices)) <= _LONG_CHOICES:
        return joined
    return "NAME" if descriptor.choices else _TYPES.get(descriptor.annotation, "VALUE")


def _joined(choices: Any, by: str = "|") -> str:
    return by.join(str(choice.value if isinstance(choice, Enum) else choice) for choice in choices)
