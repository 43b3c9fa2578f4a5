"""Meshes as binary STL in µm: the shape alone."""

import struct
from pathlib import Path

import numpy as np

from lee.export.exporter import MeshExporter
from lee.export.mesh import Mesh


class StlExporter(MeshExporter):
    """Binary STL."""

    suffix = ".stl"
    summary = "binary STL in µm: shape only, an open sheet"

    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write triangles with their own normals."""
        corners = mesh.position_um[mesh.triangles]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        facets = np.zeros(
            len(corners), np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("extra", "<u2")])
        )
        facets["normal"] = across / np.linalg.norm(across, axis=1, keepdims=True)
        facets["corner"] = corners
        with path.open("wb") as file:
            file.write(b"surface, lengths in um".ljust(80))
            file.write(struct.pack("<I", len(facets)))
            file.write(facets.tobytes())
