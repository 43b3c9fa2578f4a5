"""The twin as a model for COMSOL 6: a Java file with mesh and maps, and a model where COMSOL is installed.

Not verified against COMSOL: the calls follow published model files of versions 6.x, the Java is compiled and
run against stand-ins of the interface's classes, and no COMSOL has ever solved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, MissingDependency, install_extra
from lee.storage.atomic import new_folder
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.comsol.files import write_grid, write_mphtxt
from lee.twin.comsol.model import record_model
from lee.twin.comsol.recorder import Recorder
from lee.twin.electrode.reactions import DEFAULT
from lee.twin.mesh.columns import Columns, MeshSize, make_columns

CLASS = "LeeTwin"
MESH, HEIGHT, EXCHANGE, EFFICIENCY = "mesh.mphtxt", "height.txt", "exchange_current.txt", "efficiency.txt"
BUILT = "model.mph"
RESULTS = "electrode.txt"
FILES = frozenset(
    {f"{CLASS}.java", f"{CLASS}.class", MESH, HEIGHT, EXCHANGE, EFFICIENCY, BUILT, RESULTS, "cell.toml",
     "README.txt"}
)  # fmt: skip
NO_COMSOL = "no COMSOL found: install COMSOL 6 and its licence; the .java export needs none"


def export_comsol(
    height_um: ArrayLike | Surface,
    folder: str | Path,
    *,
    pixel_um: float | None = None,
    cell: Cell,
    times_s: Sequence[float],
    exchange_current: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
    mesh: MeshSize | None = None,
    build: Literal["auto", "always", "never"] = "auto",
    overwrite: bool = False,
) -> Path:
    """Write the tertiary twin of a surface as a folder that COMSOL 6 compiles and runs.

    The folder holds ``LeeTwin.java`` (the model), ``mesh.mphtxt`` (hexahedra, as the twin's own),
    ``height.txt``, ``exchange_current.txt`` and ``efficiency.txt`` (grids), ``cell.toml`` and ``README.txt``.
    Where COMSOL is installed it also holds ``model.mph``, made of the same calls. The equations are the
    twin's, entered as general-form PDEs, so that no module beyond COMSOL Multiphysics is needed. Lengths are
    in m; y runs up the image, so that the surface is not mirrored. The electrode does not move in the model.

    Parameters
    ----------
    height_um, pixel_um, cell, times_s, exchange_current, efficiency, mesh
        As in `lee.twin.solve`.
    folder : str or Path
        Must not exist unless `overwrite`.
    build : {"auto", "always", "never"}
        Whether to make ``model.mph``: where COMSOL is found, in any case, or not at all.
    overwrite : bool
        Replace an older folder of this kind.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If an argument cannot be used.
    MissingDependency
        If ``build="always"`` finds no COMSOL.
    StorageError
        If the folder cannot be written.
    """
    cell.refuse_protocol("export_comsol")
    if build not in ("auto", "always", "never"):
        raise InputError(f"export_comsol: build is {build!r}; give auto, always or never")
    times = np.atleast_1d(np.asarray(times_s, np.float64))
    if not times.size or not np.isfinite(times).all() or (times <= 0).any() or (np.diff(times) <= 0).any():
        raise InputError("export_comsol: times_s must be rising times above 0 s")
    if build == "always":
        _backend()
    columns = make_columns(height_um, pixel_um=pixel_um, cell=cell, size=mesh or MeshSize())
    shape = columns.pixels_um.shape
    exchange = _map(exchange_current, cell.exchange_current_a_per_m2, shape, "exchange_current", 0, np.inf)
    share = _map(efficiency, cell.efficiency, shape, "efficiency", 0, 1.5)
    recorder = record_model(cell, columns, times, files=(MESH, HEIGHT, EXCHANGE, EFFICIENCY), results=RESULTS)
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        _write_files(place, columns, exchange, share)
        (place / f"{CLASS}.java").write_text(_java(recorder), encoding="ascii")
        (place / "README.txt").write_text(_readme(cell, times), encoding="utf-8")
        cell.save(place / "cell.toml")
        if build == "always" or (build == "auto" and _has_backend()):
            build_model(recorder, place, place / BUILT)
    return Path(folder)


def build_model(recorder: Recorder, folder: Path, path: Path) -> None:
    """Make the recorded model in COMSOL, through ``mph``, and save it.

    Raises
    ------
    InputError
        If COMSOL does not start, or refuses a call.
    MissingDependency
        If mph is missing, or no COMSOL is found.
    """
    _backend()
    from mph.session import start

    try:
        client = start()
        model = client.create("lee twin")
    except Exception as error:  # mph and COMSOL fail in many ways: no licence, no display, no memory
        raise InputError(f"COMSOL does not start ({_first_line(error)}); {NO_COMSOL}") from error
    try:
        for part in ("parameters", "build"):
            recorder.play(model.java, part, folder)
        model.save(str(path))
    except Exception as error:
        raise InputError(
            f"COMSOL refused the model ({_first_line(error)}); open {CLASS}.java in it to see where"
        ) from error
    finally:
        client.remove(model)


def _backend() -> Any:
    try:
        from mph import discovery
    except ImportError as error:
        raise MissingDependency(
            f"mph is missing ({error}): {install_extra('twin')}; the .java export needs none"
        ) from error
    try:
        return discovery.backend()
    except Exception as error:  # RuntimeError or LookupError, by version
        raise MissingDependency(NO_COMSOL) from error


def _has_backend() -> bool:
    try:
        _backend()
    except MissingDependency:
        return False
    return True


def _map(
    given: ArrayLike | None, uniform: float, shape: tuple[int, ...], name: str, low: float, high: float
) -> NDArray[np.float64]:
    values = np.asarray(uniform if given is None else given, np.float64)
    if values.ndim == 0:
        values = np.full(shape, values)
    if values.shape != shape:
        raise InputError(f"export_comsol: {name} is {values.shape}, the surface {shape}; give one grid")
    if not np.isfinite(values).all() or (values < low).any() or (values > high).any():
        raise InputError(f"export_comsol: {name} must be finite and between {low:g} and {high:g} everywhere")
    return values


def _write_files(
    place: Path, columns: Columns, exchange: NDArray[np.float64], efficiency: NDArray[np.float64]
) -> None:
    # Rows run down the image; in the model y runs up it.
    y_m = (columns.y_um[-1] - columns.y_um[::-1]) * 1e-6
    z_m = columns.z_um(columns.height_um, columns.plane_um)[::-1] * 1e-6
    write_mphtxt(place / MESH, columns.x_um * 1e-6, y_m, z_m)
    at_y, at_x = (
        (np.arange(n, dtype=np.float64) + 0.5) * columns.pixel_um * 1e-6 for n in columns.pixels_um.shape
    )
    for name, values in (
        (HEIGHT, columns.pixels_um * 1e-6),
        (EXCHANGE, exchange * columns.to_pixels(columns.area_factor)),
        (EFFICIENCY, efficiency),
    ):
        write_grid(place / name, at_x, at_y, values[::-1], name.removesuffix(".txt"))


def _java(recorder: Recorder) -> str:
    methods = []
    for part in recorder.parts:
        body = "\n".join(f"    {line}" for line in recorder.java(part))
        methods.append(f"  static void {part}(Model model) {{\n{body}\n  }}\n")
    calls = "\n".join(f"    {part}(model);" for part in recorder.parts if part != "solve")
    return f"""/*
 * Written by lee. Not verified against COMSOL: see README.txt.
 */

import com.comsol.model.*;
import com.comsol.model.util.*;

public class {CLASS} {{

  /** The files are where COMSOL is run, or in the folder that the property lee.folder names. */
  static String inFolder(String name) {{
    String folder = System.getProperty("lee.folder", "");
    return folder.isEmpty() ? name : folder + "/" + name;
  }}

{chr(10).join(methods)}
  public static Model run() {{
    Model model = ModelUtil.create("Model");
{calls}
    return model;
  }}

  public static void main(String[] args) {{
    solve(run());
  }}
}}
"""


def _readme(cell: Cell, times: NDArray[np.float64]) -> str:
    anode = (
        f"bulk concentration held {cell.distance_um:g} µm above the highest point (stirred cell)"
        if cell.gap_um is None
        else f"planar anode {cell.distance_um:g} µm above the mean height (closed cell)"
    )
    law = "i = i0(x,y) (c/c0)^gamma (exp(-alpha_c F eta/R/T) - exp(alpha_a F eta/R/T))"
    if cell.reaction != DEFAULT:
        law = f"i = iloc, the reaction {cell.reaction!r} as {CLASS}.java writes it"
    return f"""The digital twin of a measured electrode, for COMSOL Multiphysics 6
===================================================================

NOT VERIFIED AGAINST COMSOL. The calls follow published model files of COMSOL 6.x; the Java was compiled and
run against stand-ins of COMSOL's classes only. Compare its electrode.txt with lee's own solution of the same
case before you rely on either.

Run it in this folder (Linux, macOS):
    comsol compile {CLASS}.java
    comsol batch -inputfile {CLASS}.class -outputfile solved.mph
Windows: comsolcompile {CLASS}.java, then comsolbatch with the same options. To look at the model without
solving it, open {CLASS}.class in the COMSOL Desktop (File > Open); COMSOL's security preferences must allow
access to files here.

What is in it
    {CLASS}.java            the model: parameters, mesh, two PDEs, one global equation, study, export
    mesh.mphtxt             hexahedra, one column over each cell of the surface; lengths in m, y up the image
    height.txt              the measured heights (m) as a grid; shown, not needed to solve
    exchange_current.txt    exchange current density at the bulk concentration (A/m2) as a grid,
                            times the true area over that of the mesh
    efficiency.txt          current efficiency as a grid
    cell.toml               the cell, as lee reads it
    model.mph               the same model, where lee found COMSOL

Equations (unit system "none": all numbers in SI)
    dc/dt + div(-D grad c) = 0                        salt concentration c
    div(-kappa grad psi) = 0                          psi = phi - (R T/F) a ln(c/c0)
    on the electrode   {law},
                       eta = V - phi; n.(D grad c) = -(1 - t_plus) i/(z F), n.(kappa grad psi) = -i
    V                  from the total current: integral of i = mean current density x area seen from above
    a = {cell.diffusion_potential:.6g}; {anode}
    times: {", ".join(f"{time:g}" for time in times)} s

electrode.txt, written when it is solved: x y z c phi eta i rate on the electrode, a block of columns a time.
The electrode does not move. Flow, hydrogen evolution and the double layer are not in the model.
"""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
