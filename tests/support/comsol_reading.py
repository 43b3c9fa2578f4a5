"""A second reading of the model for COMSOL: its recorded calls, taken as COMSOL's documentation defines them.

General form: da du/dt + div Ga = f; flux boundary: -n.Ga = g; Dirichlet: u = r; a global equation is 0.
The expressions themselves are evaluated, on the mesh that was written, with NGSolve: what comes out does not
pass through the twin's own matrices, scales or time steps.
"""

import ngsolve as ng
import numpy as np
from netgen.meshing import Mesh

from lee.twin.comsol.recorder import Call

# COMSOL's corners run x, y, z; NGSolve's go round below, then above.
_RING = [0, 1, 3, 2, 4, 5, 7, 6]


class Reading:
    """The model of a recorder, on the mesh and the grids of a folder."""

    def __init__(self, recorder, place, quads, faces, hexes, grids):
        calls = [c for part in recorder.parts.values() for c in part if isinstance(c, Call)]
        self._calls = [c.steps[1:] if c.steps[0][0] == "component" else c.steps for c in calls]
        self._mesh = self._make_mesh(place, quads, faces, hexes)
        self._names = {name: float(value) for name, value, _ in self._sets("param")}
        self._names |= {"eps": 2.2e-16, "x": ng.x, "y": ng.y, "z": ng.z, "exp": ng.exp, "log": ng.log}
        self._names["max"] = lambda a, b: ng.IfPos(a - b, a, b)
        top = float(place[:, 2].max())
        for name, (x, y, values) in grids.items():
            # Between two planes that hold the whole electrolyte, so that only x and y decide.
            held = ng.VoxelCoefficient(
                (x[0], y[0], -1.0), (x[-1], y[-1], 1.0 + top), np.stack([values] * 2), linear=True
            )
            self._names[name] = lambda x, y, held=held: held

    def _sets(self, first, tag=None):
        """Arguments of each `set` on model.first() or model.first(tag)."""
        return [
            steps[-1][1]
            for steps in self._calls
            if steps[0] == (first, () if tag is None else (tag,))
            and steps[-1][0] == "set"
            and len(steps) == 2
        ]

    def _feature(self, tag, method, name):
        """Values by index of a property of a feature of the equations."""
        return {
            steps[-1][1][2]: steps[-1][1][1]
            for steps in self._calls
            if steps[0] == ("physics", ("g",))
            and steps[1] == ("feature", (tag,))
            and steps[-1][0] == method
            and steps[-1][1][0] == name
        }

    def _where(self, tag):
        found = [
            steps[-1][1][0]
            for steps in self._calls
            if steps[0] == ("physics", ("g",)) and steps[1] == ("feature", (tag,)) and steps[-1][0] == "named"
        ]
        return found[0] if found else None

    def _make_mesh(self, place, quads, faces, hexes):
        mesh = Mesh(dim=3)
        mesh.AddPoints(np.ascontiguousarray(place))
        ring = np.ascontiguousarray(hexes[:, _RING].astype(np.int32))
        mesh.AddElements(dim=3, index=mesh.AddRegion("electrolyte", dim=3), data=ring, base=0)
        boxes = {tag: dict(self._sets("selection", tag)) for tag in ("electrode", "plane")}
        for face in range(6):
            corners = quads[faces == face]
            z = place[corners][..., 2]
            inside = [
                tag
                for tag, box in boxes.items()
                if z.max() <= float(box.get("zmax", np.inf)) and z.min() >= float(box.get("zmin", -np.inf))
            ]
            index = mesh.AddRegion(inside[0] if inside else "wall", dim=2)
            data = np.ascontiguousarray(corners[:, _RING[:4]].astype(np.int32))
            mesh.AddElements(dim=2, index=index, data=data, base=0)
        return ng.Mesh(mesh)

    def solve(self, end_s, steps):
        """Advance to a time by the trapezoidal rule after two short implicit steps.

        Returns
        -------
        (nodes,) float64, float
            Concentration at the mesh's nodes, mol/m³, and the electrode's potential.
        """
        self._space = ng.H1(self._mesh, order=1) * ng.H1(self._mesh, order=1)
        held = {}
        if any(steps[-1] == ("create", ("dir1", "DirichletBoundary", 2)) for steps in self._calls):
            held = self._feature("dir1", "setIndex", "r")
            where = self._where("dir1")
            self._space = ng.H1(self._mesh, order=1, dirichlet=where) * ng.H1(
                self._mesh, order=1, dirichlet=where
            )
        self._now, self._before = ng.GridFunction(self._space), ng.GridFunction(self._space)
        start = dict(
            arguments
            for steps_ in self._calls
            if steps_[:2] == (("physics", ("g",)), ("feature", ("init1",)))
            for _, arguments in steps_[2:]
        )
        for k, name in enumerate(("c", "psi")):
            self._now.components[k].Set(self._value(start[name], {}))
            if held:
                part, region = self._now.components[k], self._mesh.Boundaries(self._where("dir1"))
                edge = ng.GridFunction(part.space)
                edge.Set(self._value(held[k], {}), definedon=region)
                fixed = np.array(list(part.space.GetDofs(region)))
                part.vec.FV().NumPy()[fixed] = edge.vec.FV().NumPy()[fixed]
        self._voltage = ng.Parameter(self._names["V_start"])
        self._slope = None  # of the global equation by the potential, learnt from step to step
        self._step, self._theta = ng.Parameter(1.0), ng.Parameter(1.0)
        self._form = self._make_form()
        short = end_s / steps**2
        for _ in range(4):
            self._advance(short, 1.0)
        for _ in range(steps):
            self._advance((end_s - 4 * short) / steps, 0.5)
        return self._now.components[0].vec.FV().NumPy().copy(), self._voltage.Get()

    def _value(self, text, fields):
        names = self._names | fields
        for defined in ("var1", "var2", "var3"):
            for name, expression, _ in self._sets("variable", defined):
                if fields:
                    names[name] = eval(expression.replace("^", "**"), {}, names)
        found = eval(text.replace("^", "**"), {}, names)
        return found if isinstance(found, ng.CoefficientFunction) else ng.CoefficientFunction(found)

    def _fields(self, c, psi):
        fields = {"c": c, "psi": psi, "V_el": self._voltage}
        for k, axis in enumerate("xyz"):
            fields |= {f"c{axis}": ng.grad(c)[k], f"psi{axis}": ng.grad(psi)[k]}
        return fields

    def _make_form(self):
        trial, test = self._space.TnT()
        storage = self._feature("gfeq1", "setIndex", "da")
        form = ng.BilinearForm(self._space)
        old = self._before.components
        for row in range(2):
            for column in range(2):
                weight = float(storage[2 * row + column])
                if weight:
                    form += weight * (trial[column] - old[column]) / self._step * test[row] * ng.dx
        # An algebraic equation holds at the end of a step, not on the mean over it.
        for fields, shares in (
            (self._fields(*trial), (self._theta, 1.0)),
            (self._fields(*old), (1 - self._theta, 0.0)),
        ):
            for row in range(2):
                flux = self._feature("gfeq1", "setIndex", "Ga")[row]
                for axis in range(3):
                    term = shares[row] * self._value(flux[axis], fields)
                    form += -term * ng.grad(test[row])[axis] * ng.dx
                for tag in ("flux1", "flux2"):
                    values = self._feature(tag, "setIndex", "g")
                    if values:
                        term = shares[row] * self._value(values[row], fields)
                        form += -term * test[row] * ng.ds(self._where(tag))
        return form

    def _advance(self, length_s, theta):
        self._before.vec.data = self._now.vec
        self._step.Set(length_s)
        self._theta.Set(theta)
        missing = self._missing(self._voltage.Get())
        other = self._voltage.Get()
        step = 1e-3 if self._slope is None else -missing / self._slope
        for _ in range(30):
            if abs(missing) < 1e-7:
                return
            trial = other + step
            now = self._missing(trial)
            self._slope = (now - missing) / step
            other, missing = trial, now
            step = -missing / self._slope
        raise AssertionError(f"no potential gives the current: {missing}")

    def _missing(self, voltage):
        """Solve for the fields at this potential; return what the global equation is short of."""
        self._voltage.Set(voltage)
        residual, update = (self._now.vec.CreateVector() for _ in range(2))
        free = self._space.FreeDofs()
        for _ in range(20):
            self._form.Apply(self._now.vec, residual)
            self._form.AssembleLinearization(self._now.vec)
            update.data = self._form.mat.Inverse(free, inverse="umfpack") * residual
            self._now.vec.data -= update
            sizes = [np.abs(part.vec.FV().NumPy()).max() for part in self._now.components]
            nodes = len(update) // 2
            steps = np.abs(update.FV().NumPy())
            if max(steps[:nodes].max() / sizes[0], steps[nodes:].max() / sizes[1]) < 1e-8:
                break
        equation = next(
            steps[-1][1][1]
            for steps in self._calls
            if steps[0] == ("physics", ("ge",))
            and steps[-1][0] == "setIndex"
            and steps[-1][1][0] == "equation"
        )
        fields = self._fields(*self._now.components)
        area = {
            "intop1": lambda value: ng.Integrate(
                value, self._mesh, definedon=self._mesh.Boundaries("electrode")
            )
        }
        names = self._names | fields | area
        for name, expression, _ in (*self._sets("variable", "var1"), *self._sets("variable", "var2")):
            names[name] = eval(expression.replace("^", "**"), {}, names)
        return eval(equation, {}, names)
