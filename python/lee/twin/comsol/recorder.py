"""Calls of COMSOL's Java interface, recorded: written as a Java method, or made on a model through Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class InFolder:
    """Name of a file beside the model; where the calls are made from Python, its full path."""

    name: str


@dataclass(frozen=True)
class Call:
    """A chain of methods on the model, each with its arguments.

    Any attribute is a method: ``Call().param().set("D", "1e-9", "m2/s")``. Arguments are str, int, float,
    bool, `InFolder`, or lists of str, of int, or of lists of str.
    """

    steps: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments: Call((*self.steps, (name, arguments)))


@dataclass
class Recorder:
    """Statements in order, in named parts.

    Attributes
    ----------
    parts : dict of str to list of Call
        One Java method each.
    """

    parts: dict[str, list[Call | str]] = field(default_factory=dict)

    def part(self, name: str) -> None:
        """Begin a part."""
        self.parts[name] = []

    def comment(self, text: str) -> None:
        """Add a comment to the part that was begun last."""
        self._last().append(text)

    def do(self, *calls: Call) -> None:
        """Add statements to the part that was begun last."""
        self._last().extend(calls)

    def java(self, part: str) -> list[str]:
        """Write a part as lines of Java."""
        return [
            f"// {entry}" if isinstance(entry, str) else f"model{_chain(entry)};"
            for entry in self.parts[part]
        ]

    def play(self, model: Any, part: str, folder: Path) -> None:
        """Make a part's calls on a model.

        Parameters
        ----------
        model : com.comsol.model.Model
            Through JPype, such as ``mph``'s ``model.java``.
        part : str
        folder : Path
            Folder of the files beside the model.
        """
        for entry in self.parts[part]:
            if isinstance(entry, Call):
                found = model
                for name, arguments in entry.steps:
                    found = getattr(found, name)(*(_for_java(value, folder) for value in arguments))

    def _last(self) -> list[Call | str]:
        return self.parts[next(reversed(self.parts))]


def _chain(call: Call) -> str:
    return "".join(f".{name}({', '.join(_literal(a) for a in arguments)})" for name, arguments in call.steps)


def _literal(value: Any) -> str:
    if isinstance(value, InFolder):
        return f"inFolder({_quoted(value.name)})"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    kind, inner = _kind_of(value), [_literal(entry) for entry in value]
    if kind == "String[][]":
        inner = [text.removeprefix("new String[]") for text in inner]
    return f"new {kind}{{{', '.join(inner)}}}"


def _kind_of(values: Sequence[Any]) -> str:
    first = values[0]
    if isinstance(first, str):
        return "String[]"
    return "int[]" if isinstance(first, int) else "String[][]"


def _quoted(text: str) -> str:
    """Quote for Java; what is not ASCII is escaped, so that no compiler's encoding matters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _for_java(value: Any, folder: Path) -> Any:
    """Give each argument its Java type outright: most fit several of COMSOL's overloads."""
    if isinstance(value, InFolder):
        return str((folder / value.name).resolve())
    if isinstance(value, str):
        return value
    import jpype

    if isinstance(value, bool):
        return jpype.JBoolean(value)
    if isinstance(value, int):
        return jpype.JInt(value)
    if isinstance(value, float):
        return jpype.JDouble(value)
    kind = _kind_of(value)
    if kind == "int[]":
        return jpype.JArray(jpype.JInt)(value)
    if kind == "String[]":
        return jpype.JArray(jpype.JString)(value)
    return jpype.JArray(jpype.JString, 2)(value)
