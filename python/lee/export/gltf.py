"""Textured meshes as glTF 2.0, binary (.glb) or one self-contained text file (.gltf)."""

import base64
import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lee.export.exporter import MeshExporter
from lee.export.mesh import Mesh

# glTF's unit is the metre; at true scale a field of 0.2 mm lies below the near plane of most viewers.
METRES_PER_UM = 1e-3
_FLOAT, _UINT32 = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_SQRT_HALF = 0.7071067811865476


class GlbExporter(MeshExporter):
    """Binary glTF 2.0."""

    suffix = ".glb"
    summary = "binary glTF 2.0 with the refocused image as texture; 1 µm is shown as 1 mm, height points up"

    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write binary glTF with the texture inside."""
        binary, views = _binary(mesh)
        text = json.dumps(_document(mesh, views, {"byteLength": len(binary)}), separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        with path.open("wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)))
            file.write(struct.pack("<I4s", len(text), b"JSON") + text)
            file.write(struct.pack("<I4s", len(binary), b"BIN\0"))
            file.write(binary)


class GltfExporter(MeshExporter):
    """glTF 2.0 as text."""

    suffix = ".gltf"
    summary = "the same as one text file"

    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write glTF as one text file, all data inside it."""
        binary, views = _binary(mesh)
        inline = base64.b64encode(binary).decode("ascii")
        buffer = {"byteLength": len(binary), "uri": f"data:application/octet-stream;base64,{inline}"}
        path.write_text(json.dumps(_document(mesh, views, buffer)), encoding="utf-8")


def _binary(mesh: Mesh) -> tuple[bytes, list[dict[str, int]]]:
    """Give the arrays and the image as one block of bytes, and where each of them stands in it."""
    png = io.BytesIO()
    Image.fromarray(mesh.texture).save(png, format="PNG")
    parts = [
        (np.ascontiguousarray(mesh.position_um, "<f4").tobytes(), _ARRAY_BUFFER),
        (np.ascontiguousarray(mesh.normal, "<f4").tobytes(), _ARRAY_BUFFER),
        (np.ascontiguousarray(mesh.uv, "<f4").tobytes(), _ARRAY_BUFFER),
        (np.ascontiguousarray(mesh.triangles, "<u4").tobytes(), _ELEMENT_BUFFER),
        (png.getvalue(), None),
    ]
    views: list[dict[str, int]] = []
    binary = bytearray()
    for content, target in parts:
        view = {"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)}
        views.append(view if target is None else view | {"target": target})
        binary += content + b"\0" * (-len(content) % 4)
    return bytes(binary), views


def _document(mesh: Mesh, views: list[dict[str, int]], buffer: Mapping[str, object]) -> dict[str, object]:
    low, high = mesh.position_um.min(axis=0), mesh.position_um.max(axis=0)
    count = len(mesh.position_um)
    return {
        "asset": {
            "version": "2.0",
            "generator": "lee",
            "extras": {
                "mesh_unit": "um",
                "metres_per_um": METRES_PER_UM,
                "axes": "mesh: x right, y up the image, z to the objective; the node turns z to glTF's y",
            },
        },
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [_node(low, high)],
        "meshes": [
            {
                "name": "surface",
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2},
                        "indices": 3,
                        "material": 0,
                    }
                ],
            }
        ],
        "materials": [
            {
                "name": "refocused",
                "doubleSided": True,
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.9,
                },
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "images": [{"bufferView": 4, "mimeType": "image/png"}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "accessors": [
            _accessor(0, _FLOAT, count, "VEC3") | {"min": low.tolist(), "max": high.tolist()},
            _accessor(1, _FLOAT, count, "VEC3"),
            _accessor(2, _FLOAT, count, "VEC2"),
            _accessor(3, _UINT32, mesh.triangles.size, "SCALAR"),
        ],
        "bufferViews": views,
        "buffers": [buffer],
    }


def _node(low: npt.NDArray[np.float32], high: npt.NDArray[np.float32]) -> dict[str, object]:
    """Turn z up to glTF's y up, scale, and put the model's middle at the origin."""
    x, y, z = ((low.astype(np.float64) + high) / 2 * METRES_PER_UM).tolist()
    return {
        "name": "surface",
        "mesh": 0,
        "rotation": [-_SQRT_HALF, 0.0, 0.0, _SQRT_HALF],
        "scale": [METRES_PER_UM] * 3,
        "translation": [-x, -z, y],
    }


def _accessor(view: int, component: int, count: int, kind: str) -> dict[str, object]:
    return {"bufferView": view, "componentType": component, "count": count, "type": kind}
