"""Meshes as binary PLY in µm, with normals and vertex colours."""

from pathlib import Path

import numpy as np

from lee.export.exporter import MeshExporter
from lee.export.mesh import Mesh


class PlyExporter(MeshExporter):
    """Binary little-endian PLY."""

    suffix = ".ply"
    summary = "binary PLY in µm with normals and colours"

    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write positions, normals, colours and triangles."""
        reals = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
        colours = [(name, "u1") for name in ("red", "green", "blue")]
        vertices = np.empty(len(mesh.position_um), np.dtype(reals + colours))
        for names, values in (
            (("x", "y", "z"), mesh.position_um),
            (("nx", "ny", "nz"), mesh.normal),
            (("red", "green", "blue"), mesh.rgb),
        ):
            for k, name in enumerate(names):
                vertices[name] = values[:, k]
        faces = np.empty(len(mesh.triangles), np.dtype([("count", "u1"), ("corner", "<i4", 3)]))
        faces["count"], faces["corner"] = 3, mesh.triangles
        header = [
            "ply",
            "format binary_little_endian 1.0",
            "comment lengths in um, z toward the objective",
            f"element vertex {len(vertices)}",
            *(f"property float {name}" for name, _ in reals),
            *(f"property uchar {name}" for name, _ in colours),
            f"element face {len(faces)}",
            "property list uchar int vertex_indices",
            "end_header",
        ]
        with path.open("wb") as file:
            file.write(("\n".join(header) + "\n").encode("ascii"))
            file.write(vertices.tobytes())
            file.write(faces.tobytes())
