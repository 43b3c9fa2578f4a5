"""The twin's equations as calls of COMSOL's interface."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lee.twin.cell import FARADAY_C_PER_MOL, GAS_J_PER_MOL_K, Cell
from lee.twin.comsol.expression import Expression, current_expression, exponential, quotient
from lee.twin.comsol.recorder import Call, InFolder, Recorder
from lee.twin.electrode.hydrogen import Hydrogen
from lee.twin.mesh.columns import Columns

_COMPONENT, _GEOMETRY, _MESH = "comp1", "geom1", "mesh1"
_EQUATIONS, _TOTAL = "g", "ge"
_MAPS = ("height_m", "i0_map", "efficiency_map")
_FACE = 2
# Parameters of the cell that kinetics may depend on, as the model names them.
_KINETIC_NAMES = {"alpha_c": "alpha_c", "alpha_a": "alpha_a", "gamma": "gamma_i0"}
_HYDROGEN = Hydrogen(Expression("alpha_H2"), Expression("E_H2"))


def record_model(
    cell: Cell,
    columns: Columns,
    times_s: NDArray[np.float64],
    *,
    files: tuple[str, str, str, str],
    results: str,
) -> Recorder:
    """Record the model of a cell over a surface.

    Parameters
    ----------
    cell : Cell
    columns : Columns
        The mesh in the first of `files`.
    times_s : (T,) float64
    files : (str, str, str, str)
        Mesh; grids of height (m), exchange current (A/m²) and efficiency.
    results : str
        File the solved model writes.

    Returns
    -------
    Recorder
        Parts ``parameters``, ``build`` and ``solve``.
    """
    recorder = Recorder()
    recorder.part("parameters")
    model = Call()
    recorder.do(model.baseSystem("none"))
    for name, value, meaning in _parameters(cell, columns):
        recorder.do(model.param().set(name, repr(value), meaning))
    recorder.part("build")
    _geometry(recorder, columns, files)
    _physics(recorder, cell)
    _study(recorder, times_s)
    recorder.part("solve")
    _results(recorder, results)
    return recorder


def _parameters(cell: Cell, columns: Columns) -> list[tuple[str, float, str]]:
    current = cell.current_density_ma_per_cm2
    drop_v = 10 * current * cell.distance_um * 1e-6 / cell.conductivity_s_per_m
    # An anode of the same metal strips what the electrode plates; its metal is at 0 V.
    anode = replace(cell, current_density_ma_per_cm2=-current)
    plane_v = 0.0 if cell.gap_um is None else -anode.overpotential_v
    return [
        ("c0", cell.concentration_mol_per_l * 1e3, "bulk concentration, mol/m3"),
        ("i_mean", cell.current_density_ma_per_cm2 * 10, "mean current density, plating positive, A/m2"),
        ("area", columns.seen_area_um2 * 1e-12, "area seen from above, m2"),
        ("D", cell.diffusivity_m2_per_s, "diffusivity of the salt, m2/s"),
        ("t_plus", cell.transference, "transference number of the cation"),
        ("kappa", cell.conductivity_s_per_m, "conductivity, S/m"),
        ("a_psi", cell.diffusion_potential, "factor of the concentration in the potential"),
        ("z_ion", float(cell.charge), "charge number"),
        ("alpha_c", cell.alpha_c, "cathodic transfer coefficient"),
        ("alpha_a", cell.alpha_a, "anodic transfer coefficient"),
        ("gamma_i0", cell.gamma, "order of the exchange current in the concentration"),
        ("i0_anode", cell.exchange_current_a_per_m2, "exchange current density of the anode, A/m2"),
        ("F_c", FARADAY_C_PER_MOL, "Faraday constant, C/mol"),
        ("RT_F", cell.thermal_voltage_v, f"R T/F with R = {GAS_J_PER_MOL_K} J/mol/K, V"),
        ("M_metal", cell.molar_mass_g_per_mol * 1e-3, "molar mass of the deposit, kg/mol"),
        ("rho_metal", cell.density_kg_per_m3, "density of the deposit, kg/m3"),
        ("z_top", float(columns.height_um.max()) * 1e-6, "highest point of the electrode, m"),
        ("z_plane", columns.plane_um * 1e-6, "height of the bulk plane or the anode, m"),
        ("psi_start", plane_v, "psi at the plane to begin with, V"),
        ("V_start", cell.overpotential_v + plane_v - drop_v, "electrode potential to begin with, V"),
        *_hydrogen_parameters(cell),
    ]


def _hydrogen_parameters(cell: Cell) -> list[tuple[str, float, str]]:
    if cell.hydrogen is None:
        return []
    equilibrium = cell.hydrogen_potential_v / cell.thermal_voltage_v
    exchange = cell.hydrogen_exchange_current_a_per_m2
    return [
        ("alpha_H2", cell.hydrogen_alpha, "cathodic transfer coefficient of hydrogen"),
        ("E_H2", equilibrium, "reversible potential of hydrogen against the metal's, over RT/F"),
        ("i0_H2", exchange, "exchange current density of hydrogen, A/m2"),
    ]


def _geometry(recorder: Recorder, columns: Columns, files: tuple[str, str, str, str]) -> None:
    model, component = Call(), Call().component(_COMPONENT)
    mesh, *grids = files
    recorder.do(
        model.component().create(_COMPONENT, True),
        component.geom().create(_GEOMETRY, 3),
        component.mesh().create(_MESH),
        component.geom(_GEOMETRY).run(),
    )
    for tag, name, file in zip(("int1", "int2", "int3"), _MAPS, grids, strict=True):
        function = component.func(tag)
        recorder.do(
            component.func().create(tag, "Interpolation"),
            function.set("source", "file"),
            function.set("filename", InFolder(file)),
            function.set("struct", "grid"),
            function.set("nargs", 2),
            function.importData(),
            function.setIndex("funcnametable", name, 0, 0),
            function.set("interp", "linear"),
            function.set("extrap", "const"),
        )
    imported = component.mesh(_MESH).feature("imp1")
    recorder.do(
        component.mesh(_MESH).create("imp1", "Import"),
        imported.set("source", "native"),
        imported.set("filename", InFolder(mesh)),
        imported.importData(),
        component.mesh(_MESH).run(),
    )
    recorder.comment("The walls reach from the electrode to the plane and are inside neither box.")
    middle = 0.5 * (float(columns.height_um.max()) + columns.plane_um) * 1e-6
    for tag, side in (("electrode", "zmax"), ("plane", "zmin")):
        box = component.selection(tag)
        recorder.do(
            component.selection().create(tag, "Box"),
            box.set("entitydim", _FACE),
            box.set(side, repr(middle)),
            box.set("condition", "inside"),
        )
    recorder.do(
        component.cpl().create("intop1", "Integration"),
        component.cpl("intop1").selection().geom(_GEOMETRY, _FACE),
        component.cpl("intop1").selection().named("electrode"),
    )


def _physics(recorder: Recorder, cell: Cell) -> None:
    component = Call().component(_COMPONENT)
    _variables(recorder, cell)
    pde = component.physics(_EQUATIONS)
    equation = pde.feature("gfeq1")
    recorder.do(
        component.physics().create(_EQUATIONS, "GeneralFormPDE", _GEOMETRY),
        pde.field("dimensionless").component(["c", "psi"]),
    )
    for row, flux in enumerate(("-D*c{}", "-kappa*psi{}")):
        recorder.do(
            equation.setIndex("Ga", [flux.format(axis) for axis in "xyz"], row),
            equation.setIndex("f", "0", row),
        )
    # The storage matrix, by rows: only the concentration is stored.
    recorder.do(*(equation.setIndex("da", entry, k) for k, entry in enumerate(("1", "0", "0", "0"))))
    recorder.do(
        pde.feature("init1").set("c", "c0"),
        pde.feature("init1").set("psi", "psi_start-i_mean*(z_plane-z)/kappa"),
    )
    _flux(recorder, "flux1", "electrode", "iloc")
    if cell.gap_um is None:
        held = pde.feature("dir1")
        recorder.do(
            pde.create("dir1", "DirichletBoundary", _FACE),
            held.selection().named("plane"),
            held.setIndex("r", "c0", 0),
            held.setIndex("r", "0", 1),
        )
    else:
        _flux(recorder, "flux2", "plane", "ianode")
    total = component.physics(_TOTAL)
    unit = abs(10 * cell.current_density_ma_per_cm2) or cell.exchange_current_a_per_m2
    recorder.comment("The electrode's potential is whatever makes the total current the one asked for.")
    recorder.do(
        component.physics().create(_TOTAL, "GlobalEquations", _GEOMETRY),
        total.feature("ge1").setIndex("name", "V_el", 0, 0),
        total.feature("ge1").setIndex("equation", f"(intop1(iloc)/area-i_mean)/{unit!r}", 0, 0),
        total.feature("ge1").setIndex("initialValueU", "V_start", 0, 0),
    )


def _variables(recorder: Recorder, cell: Cell) -> None:
    component = Call().component(_COMPONENT)

    def current(exchange: str, eta: str) -> str:
        return current_expression(
            cell.kinetics,
            _KINETIC_NAMES,
            exchange=exchange,
            concentration="max(c/c0,eps)",
            eta=quotient(eta, "RT_F"),
        )

    everywhere = (("phi", "psi+RT_F*a_psi*log(max(c/c0,eps))", "potential in the electrolyte, V"),)
    metal = current("i0_map(x,y)", "eta")
    reactions: tuple[tuple[str, str, str], ...] = (("iloc", metal, "plating current density, A/m2"),)
    if cell.hydrogen is not None:
        evolved = _HYDROGEN.current(Expression("i0_H2"), quotient("eta", "RT_F"), exponential)
        reactions = (
            ("imetal", metal, "plating current density, A/m2"),
            ("ihydrogen", str(evolved), "current density that evolves hydrogen, A/m2"),
            ("iloc", "imetal+ihydrogen", "current density of both reactions, A/m2"),
        )
    grows = "iloc" if cell.hydrogen is None else "imetal"
    electrode = (
        ("eta", "V_el-phi", "overpotential, V"),
        *reactions,
        (
            "rate",
            f"efficiency_map(x,y)*{grows}*M_metal/(z_ion*F_c*rho_metal)",
            "growth along the normal, m/s",
        ),
    )
    anode = (
        ("eta_anode", "-phi", "overpotential of the anode, whose metal is at 0 V"),
        ("ianode", current("i0_anode", "eta_anode"), "plating current density of the anode"),
    )
    for tag, where, defined in (
        ("var1", "", everywhere),
        ("var2", "electrode", electrode),
        ("var3", "plane", anode),
    ):
        variable = component.variable(tag)
        recorder.do(component.variable().create(tag))
        if where:
            recorder.do(variable.selection().geom(_GEOMETRY, _FACE), variable.selection().named(where))
        recorder.do(*(variable.set(*entry) for entry in defined))


def _flux(recorder: Recorder, tag: str, where: str, current: str) -> None:
    """Metal that is plated takes (1 - t_plus)/(z F) of salt for each charge, and the charge itself."""
    pde = Call().component(_COMPONENT).physics(_EQUATIONS)
    flux = pde.feature(tag)
    recorder.do(
        pde.create(tag, "FluxBoundary", _FACE),
        flux.selection().named(where),
        flux.setIndex("g", f"-(1-t_plus)*{current}/(z_ion*F_c)", 0),
        flux.setIndex("g", f"-{current}", 1),
    )


def _study(recorder: Recorder, times_s: NDArray[np.float64]) -> None:
    study = Call().study("std1")
    times = " ".join(f"{time:.12g}" for time in (0.0, *times_s))
    recorder.do(
        Call().study().create("std1"),
        study.create("time", "Transient"),
        study.feature("time").set("tlist", times),
        study.feature("time").set("usertol", True),
        study.feature("time").set("rtol", "1e-4"),
    )


def _results(recorder: Recorder, results: str) -> None:
    model = Call()
    export = model.result().export("data1")
    recorder.do(
        model.study("std1").run(),
        model.result().dataset().create("surf1", "Surface"),
        model.result().dataset("surf1").selection().named("electrode"),
        model.result().export().create("data1", "Data"),
        export.set("data", "surf1"),
        export.set("expr", ["c", "phi", "eta", "iloc", "rate"]),
        export.set("filename", InFolder(results)),
        export.run(),
    )
