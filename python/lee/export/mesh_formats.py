"""Models in the simple formats: Wavefront OBJ with MTL and PNG, binary PLY, binary STL; all in um, z up."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image

from lee.export.mesh import Mesh

_LINES_AT_ONCE = 100_000


def write_png(mesh: Mesh, path: Path) -> None:
    """Write the texture as PNG."""
    Image.fromarray(mesh.texture).save(path, format="PNG")


def write_mtl(path: Path, image_name: str) -> None:
    """Write the OBJ material that lays `image_name` over the model, without gloss."""
    text = f"newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {image_name}\n"
    path.write_text(text, encoding="utf-8")


def write_obj(mesh: Mesh, path: Path, material_name: str) -> None:
    """Write positions, texture places, normals and triangles as OBJ; its v runs up, so it is turned over."""
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


def write_ply(mesh: Mesh, path: Path) -> None:
    """Write binary little-endian PLY with normals and vertex colours."""
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


def write_stl(mesh: Mesh, path: Path) -> None:
    """Write binary STL: triangles with their own normals."""
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
