"""Fields and electrode as VTK files for ParaView: XML with the numbers appended as they lie in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from lee.twin.results.fields import current_density
from lee.twin.results.solution import Solution

_HEXAHEDRON, _QUAD = 12, 9
_TYPES = {"float32": "Float32", "float64": "Float64", "int64": "Int64", "uint8": "UInt8"}


def write_vtu(
    path: Path,
    points: NDArray[np.float64],
    cells: NDArray[np.int64],
    kind: int,
    data: Mapping[str, NDArray[np.float32]],
) -> None:
    """Write an unstructured grid of one kind of cells.

    Parameters
    ----------
    path : Path
        Written in place, so give a temporary name.
    points : (N, 3) float64
    cells : (M, corners) int64
    kind : int
        VTK's number of the cell: 12 hexahedron, 9 quadrilateral.
    data : mapping of str to (N,) or (N, 3) float32
        Values at the points.
    """
    blocks: list[NDArray[np.generic]] = []
    length = 0

    def array(name: str, values: NDArray[np.generic]) -> str:
        nonlocal length
        flat = np.ascontiguousarray(values)
        parts = flat.shape[1] if flat.ndim == 2 and name != "connectivity" else 1
        header = (
            f'<DataArray type="{_TYPES[flat.dtype.name]}" Name={quoteattr(name)} '
            f'NumberOfComponents="{parts}" format="appended" offset="{length}"/>\n'
        )
        blocks.append(flat)
        length += 8 + flat.nbytes
        return header

    count, corners = cells.shape
    body = (
        '<?xml version="1.0"?>\n'
        '<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
        f'<UnstructuredGrid>\n<Piece NumberOfPoints="{len(points)}" NumberOfCells="{count}">\n<PointData>\n'
        + "".join(array(name, values) for name, values in data.items())
        + "</PointData>\n<Points>\n"
        + array("Points", points)
        + "</Points>\n<Cells>\n"
        + array("connectivity", cells.astype(np.int64))
        + array("offsets", np.arange(1, count + 1, dtype=np.int64) * corners)
        + array("types", np.full(count, kind, np.uint8))
        + '</Cells>\n</Piece>\n</UnstructuredGrid>\n<AppendedData encoding="raw">\n_'
    )
    with path.open("wb") as out:
        out.write(body.encode("ascii"))
        for block in blocks:
            little = block.astype(block.dtype.newbyteorder("<"), copy=False)
            out.write(np.uint64(little.nbytes).astype("<u8").tobytes())
            out.write(little.tobytes())
        out.write(b"\n</AppendedData>\n</VTKFile>\n")


def write_fields(path: Path, solution: Solution, k: int) -> None:
    """Write concentration, potential and current density in the electrolyte at time k.

    Lengths are in µm; y runs up the image, so that nothing is mirrored.
    """
    fields = solution.fields
    points = _points(solution, k)
    ny, nx, nz = points.shape[:3]
    node = np.arange(ny * nx * nz).reshape(ny, nx, nz)
    # Rows run down the image: one row further is one step back in y.
    around = [node[1:, :-1], node[1:, 1:], node[:-1, 1:], node[:-1, :-1]]
    cells = np.stack([c[..., :-1].ravel() for c in around] + [c[..., 1:].ravel() for c in around], axis=1)
    current = current_density(solution, k)
    current[..., 1] *= -1
    write_vtu(
        path,
        points.reshape(-1, 3),
        cells.astype(np.int64),
        _HEXAHEDRON,
        {
            "concentration_mol_per_l": _flat(fields.concentration_mol_per_l[k]),
            "potential_v": _flat(fields.potential_v[k]),
            "current_density_ma_per_cm2": current.reshape(-1, 3).astype(np.float32),
        },
    )


def write_electrode(path: Path, solution: Solution, k: int) -> None:
    """Write the electrode at time k: concentration, potential, overpotential, current density and rates."""
    fields = solution.fields
    points = _points(solution, k)[:, :, 0]
    ny, nx = points.shape[:2]
    node = np.arange(ny * nx).reshape(ny, nx)
    around = [node[1:, :-1], node[1:, 1:], node[:-1, 1:], node[:-1, :-1]]
    write_vtu(
        path,
        points.reshape(-1, 3),
        np.stack([c.ravel() for c in around], axis=1).astype(np.int64),
        _QUAD,
        {
            "concentration_mol_per_l": _flat(fields.concentration_mol_per_l[k][..., 0]),
            "potential_v": _flat(fields.potential_v[k][..., 0]),
            "overpotential_v": _flat(fields.overpotential_v[k]),
            "current_density_ma_per_cm2": _flat(fields.current_density_ma_per_cm2[k]),
            "height_rate_nm_per_s": _flat(fields.height_rate_nm_per_s[k]),
            "normal_rate_nm_per_s": _flat(fields.normal_rate_nm_per_s[k]),
        },
    )


def write_series(path: Path, times_s: Sequence[float] | NDArray[np.float64], names: Sequence[str]) -> None:
    """Write a ParaView collection (.pvd): one file per time."""
    entries = "".join(
        f'<DataSet timestep="{time:.12g}" part="0" file={quoteattr(name)}/>\n'
        for time, name in zip(times_s, names, strict=True)
    )
    path.write_text(
        '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">\n'
        f"<Collection>\n{entries}</Collection>\n</VTKFile>\n",
        encoding="ascii",
    )


def _points(solution: Solution, k: int) -> NDArray[np.float64]:
    fields = solution.fields
    z = fields.z_um[k]
    points = np.empty((*z.shape, 3))
    points[..., 0] = fields.x_um[None, :, None]
    points[..., 1] = (fields.y_um[-1] - fields.y_um)[:, None, None]
    points[..., 2] = z
    return points


def _flat(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32).ravel()
