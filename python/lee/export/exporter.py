"""What a file format implements to be offered by `Surface.export` and ``lee export``."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from lee.export.mesh import MAX_VERTICES, Mesh, build_mesh

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

Holds = Literal["mesh", "height map"]


@dataclass(frozen=True)
class ExportOptions:
    """How a surface is written; an exporter ignores what does not apply to its format.

    Parameters
    ----------
    filled : bool, optional
        True writes the filled height where nothing was measured, False leaves holes there. By default meshes
        are filled, height maps are not.
    max_vertices : int
        Pixels are averaged in square blocks until a mesh has no more vertices. Height maps always hold every
        pixel.
    """

    filled: bool | None = None
    max_vertices: int = MAX_VERTICES


@runtime_checkable
class Exporter(Protocol):
    """One file format.

    Attributes
    ----------
    suffix : str
        Lower case with its dot, ``".ply"``; it selects the format.
    holds : "mesh" or "height map"
    summary : str
        One line for ``lee export --help``: what is in the file, in which unit.
    companions : tuple of str
        Suffixes of the files that `write` adds beside the main one, with its stem.
    """

    suffix: str
    holds: Holds
    summary: str
    companions: tuple[str, ...] = ()

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Write `surface` to `path`, and the companions beside it.

        `path` lies in an empty temporary folder and has the final file's name; the caller moves what was
        written to its final place only when all of it is complete.

        Raises
        ------
        InputError
            If the surface cannot be written in this format.
        """
        ...


class MeshExporter(Exporter):
    """A format that holds a mesh: a subclass writes it, `write` makes it."""

    holds: Holds = "mesh"

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Turn `surface` into a mesh and write it."""
        filled = options.filled is not False
        self.write_mesh(build_mesh(surface, filled=filled, max_vertices=options.max_vertices), path)

    @abstractmethod
    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write a mesh to `path`, and the companions beside it."""
