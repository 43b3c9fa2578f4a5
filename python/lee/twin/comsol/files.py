"""Files that go with a COMSOL model: its mesh as native text, and maps as grids to interpolate."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.float64]


def write_mphtxt(path: Path, x_m: Nodes, y_m: Nodes, z_m: Nodes) -> None:
    """Write columns of hexahedra as a mesh in COMSOL's native text format (Mesh, version 4).

    The domain is number 1; boundaries are the electrode, the plane, and the walls at the low and high end of
    x and of y, numbered so from 0. Corners of quadrilaterals and hexahedra stand in COMSOL's order: x runs
    fastest, then y, then z. COMSOL derives edges and points itself.

    Parameters
    ----------
    path : Path
    x_m, y_m : (nx,), (ny,) float64, m
        Rising.
    z_m : (ny, nx, nz) float64, m
        Rising along the last axis, 0 on the electrode.
    """
    ny, nx, nz = z_m.shape
    place = np.empty((ny, nx, nz, 3))
    place[..., 0], place[..., 1], place[..., 2] = x_m[None, :, None], y_m[:, None, None], z_m
    node = np.arange(place[..., 0].size).reshape(ny, nx, nz)
    hexahedra = np.stack(
        [
            node[b : ny - 1 + b, a : nx - 1 + a, k : nz - 1 + k].ravel()
            for k in (0, 1)
            for b in (0, 1)
            for a in (0, 1)
        ],
        axis=1,
    )
    faces = [node[:, :, 0], node[:, :, -1], node[:, 0], node[:, -1], node[0], node[-1]]
    quads = [
        np.stack(
            [f[b : f.shape[0] - 1 + b, a : f.shape[1] - 1 + a].ravel() for b in (0, 1) for a in (0, 1)], 1
        )
        for f in faces
    ]
    with path.open("w", encoding="ascii") as out:
        out.write("# Major & minor version\n0 1\n1 # number of tags\n# Tags\n5 mesh1\n1 # number of types\n")
        out.write("# Types\n3 obj\n\n# --------- Object 0 ----------\n\n0 0 1\n4 Mesh # class\n4 # version\n")
        out.write(f"3 # sdim\n{node.size} # number of mesh vertices\n0 # lowest mesh vertex index\n\n")
        out.write("# Mesh vertex coordinates\n")
        np.savetxt(out, place.reshape(-1, 3), fmt="%.12g")
        out.write("\n2 # number of element types\n")
        _elements(out, "quad", np.concatenate(quads), np.repeat(np.arange(6), [len(q) for q in quads]))
        _elements(out, "hex", hexahedra, np.ones(len(hexahedra), int))


def _elements(out: TextIO, name: str, corners: NDArray[np.intp], entity: NDArray[np.intp]) -> None:
    out.write(f"\n{len(name)} {name} # type name\n\n\n")
    out.write(f"{corners.shape[1]} # number of vertices per element\n")
    out.write(f"{len(corners)} # number of elements\n# Elements\n")
    np.savetxt(out, corners, fmt="%d")
    out.write(f"\n{len(entity)} # number of geometric entity indices\n# Geometric entity indices\n")
    np.savetxt(out, entity, fmt="%d")


def write_grid(path: Path, x_m: Nodes, y_m: Nodes, values: Nodes, name: str) -> None:
    """Write a map (ny, nx) as a grid for an interpolation function of COMSOL; x runs along a line."""
    with path.open("w", encoding="ascii") as out:
        out.write("% Grid\n")
        for axis in (x_m, y_m):
            out.write(" ".join(f"{value:.12g}" for value in axis) + "\n")
        out.write(f"% Data ({name})\n")
        np.savetxt(out, values, fmt="%.9g")
