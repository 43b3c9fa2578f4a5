"""Blender scenes: the textured mesh with camera and light, ready to render."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lee.errors import MissingDependency, install_extra
from lee.export.exporter import ExportOptions, MeshExporter
from lee.export.mesh import Mesh

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

Bpy = Any  # its modules and objects, which have no types
_METRES_PER_UM = 1e-3  # 1 µm is shown as 1 mm, as in the glTF models


def require_bpy() -> Bpy:
    """Import Blender's module, or raise an error that names how to install it.

    Raises
    ------
    MissingDependency
        If `bpy` is not installed.
    """
    try:
        import bpy
    except ImportError as error:
        raise MissingDependency(
            f"a Blender scene needs bpy ({error}): {install_extra('blender')}, or export .glb, "
            "which Blender opens"
        ) from error
    return bpy


class BlendExporter(MeshExporter):
    """A `.blend` file."""

    suffix = ".blend"
    summary = "a Blender scene; needs the extra `blender`"

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Check for `bpy` before the mesh is made."""
        require_bpy()
        super().write(surface, path, options)

    def write_mesh(self, mesh: Mesh, path: Path) -> None:
        """Write the surface with its image as material, a camera that sees all of it, and a sun."""
        bpy = require_bpy()
        bpy.ops.wm.read_factory_settings(use_empty=True)
        settings = bpy.context.scene.unit_settings
        settings.system, settings.length_unit = "METRIC", "MILLIMETERS"
        shape = bpy.data.meshes.new("surface")
        middle = (mesh.position_um.min(axis=0) + mesh.position_um.max(axis=0)) / 2
        position = (mesh.position_um - middle) * np.float32(_METRES_PER_UM)
        _fill(shape, mesh, position)
        surface = bpy.data.objects.new("surface", shape)
        surface["middle_um"] = [float(v) for v in middle]
        surface["metres_per_um"] = _METRES_PER_UM
        bpy.context.scene.collection.objects.link(surface)
        with tempfile.TemporaryDirectory() as folder:
            shape.materials.append(_material(bpy, mesh, Path(folder) / "refocused.png"))
        _light_and_camera(bpy, float(np.abs(position[:, :2]).max()))
        bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True, check_existing=False)


def _fill(shape: Bpy, mesh: Mesh, position: npt.NDArray[np.float32]) -> None:
    corners = np.ascontiguousarray(mesh.triangles, np.int32).ravel()
    shape.vertices.add(len(position))
    shape.vertices.foreach_set("co", np.ascontiguousarray(position, np.float32).ravel())
    shape.loops.add(len(corners))
    shape.loops.foreach_set("vertex_index", corners)
    shape.polygons.add(len(mesh.triangles))
    shape.polygons.foreach_set("loop_start", np.arange(0, len(corners), 3, dtype=np.int32))
    shape.polygons.foreach_set("use_smooth", np.ones(len(mesh.triangles), np.bool_))
    uv = mesh.uv[corners] * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)  # v runs up here
    shape.uv_layers.new(name="refocused").data.foreach_set("uv", np.ascontiguousarray(uv, np.float32).ravel())
    shape.update(calc_edges=True)
    shape.validate()


def _material(bpy: Bpy, mesh: Mesh, path: Path) -> Bpy:
    Image.fromarray(mesh.texture).save(path)
    image = bpy.data.images.load(str(path))
    image.pack()
    image.filepath = "//refocused.png"
    material = bpy.data.materials.new("refocused")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    glossy = nodes["Principled BSDF"]
    glossy.inputs["Roughness"].default_value = 0.9
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    material.node_tree.links.new(texture.outputs["Color"], glossy.inputs["Base Color"])
    return material


def _light_and_camera(bpy: Bpy, reach: float) -> None:
    scene = bpy.context.scene
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 3.0
    sun.rotation_euler = (0.7, 0.2, 0.6)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    x, y, z = 2.9 * reach * np.array([-0.45, -1.0, 0.9])
    camera.location = (x, y, z)
    camera.rotation_euler = (np.arctan2(np.hypot(x, y), z), 0.0, np.arctan2(x, -y))  # looks at the origin
    camera.data.clip_start, camera.data.clip_end = 0.01 * reach, 100 * reach
    for item in (sun, camera):
        scene.collection.objects.link(item)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = 1600, 1000
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.4
