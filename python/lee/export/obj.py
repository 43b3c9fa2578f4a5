"""Meshes as Wavefront OBJ in µm, with the material and the texture in files beside it."""

from pathlib import Path

import numpy as np
from PIL import Image

from lee.export.exporter import MeshExporter
from lee.export.mesh import Mesh

_LINES_AT_ONCE = 100_000


class ObjExporter(MeshExporter):
    """Wavefront OBJ with MTL and PNG."""

    suffix = ".obj"
    summary = "Wavefront OBJ in µm, with .mtl and .png of the same name beside it"
    companions = (".mtl", ".png")

    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write the mesh, a material without gloss, and the texture."""
        material, image = (path.with_suffix(suffix) for suffix in self.companions)
        Image.fromarray(mesh.texture).save(image, format="PNG")
        text = f"newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {image.name}\n"
        material.write_text(text, encoding="utf-8")
        _write_mesh(mesh, path, material.name)


def _write_mesh(mesh: Mesh, path: Path, material_name: str) -> None:
    """Write positions, texture coordinates, normals and triangles; v runs up in OBJ, so it is flipped."""
    u, v = mesh.uv.T
    with path.open("w", encoding="ascii", errors="replace") as file:
        file.write(f"# lengths in um, z toward the objective\nmtllib {material_name}\nusemtl surface\n")
        for start in range(0, len(u), _LINES_AT_ONCE):
            part = slice(start, start + _LINES_AT_ONCE)
            np.savetxt(file, mesh.position_um[part], fmt="v %.6g %.6g %.6g")
            np.savetxt(file, np.stack([u[part], 1 - v[part]], axis=-1), fmt="vt %.6f %.6f")
            np.savetxt(file, mesh.normal[part], fmt="vn %.4f %.4f %.4f")
        for start in range(0, len(mesh.triangles), _LINES_AT_ONCE):
            one_based = mesh.triangles[start : start + _LINES_AT_ONCE].astype(np.int64) + 1
            np.savetxt(file, np.repeat(one_based, 3, axis=1), fmt="f %d/%d/%d %d/%d/%d %d/%d/%d")
