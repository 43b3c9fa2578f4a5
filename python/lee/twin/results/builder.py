"""From states of the solver to a solution: maps, fields and balances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.twin.mesh.area import mesh_area_ratio, seen_areas
from lee.twin.model import Model
from lee.twin.results.solution import Balance, Fields, Solution
from lee.twin.solver.equations import State, Volume


class SolutionBuilder:
    """Collects states as they are reached.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        columns = model.columns
        self._columns_efficiency = columns.to_nodes(model.efficiency)
        self.states: list[dict[str, NDArray[Any]]] = []
        self.balances: list[Balance] = []
        self.stopped = ""
        self.notes: tuple[str, ...] = ()

    def add(
        self,
        time_s: float,
        state: State,
        volume: Volume | None,
        z_um: NDArray[np.float64],
        pixels_um: NDArray[np.float64],
    ) -> None:
        """Record a state.

        Parameters
        ----------
        time_s : float
        state : State
        volume : Volume or None
            Needed for a primary distribution only.
        z_um : (ny, nx, nz) float64
            Heights of the mesh.
        pixels_um : (H, W) float64
            Heights of the surface.
        """
        model, columns, shape = self._model, self._model.columns, self._model.columns.shape
        current, hydrogen = model.current_density(state, volume), model.hydrogen_current_density(state)
        potential = model.potential_v(state)
        electrode_v = state.metal * model.cell.thermal_voltage_v
        area_ratio = columns.area_factor * mesh_area_ratio(z_um[..., 0], columns.y_um, columns.x_um)
        seen = seen_areas(columns.y_um, columns.x_um)
        mean = float((current * area_ratio * seen).sum() / seen.sum())
        self.states.append(
            {
                "time_s": np.array(time_s),
                "electrode_v": np.array(electrode_v),
                "mean_current": np.array(mean),
                "cell_voltage": np.array(model.cell.voltage_v(electrode_v, mean)),
                "height_um": pixels_um.astype(np.float32),
                "z_um": z_um,
                "concentration": state.fields[0].reshape(shape) * model.cell.concentration_mol_per_l,
                "potential": potential,
                "current": current,
                "hydrogen": hydrogen,
                "overpotential": electrode_v - potential[..., 0],
                "normal_rate": self.normal_rate_nm_per_s(current - hydrogen),
                "area_ratio": area_ratio,
            }
        )

    def normal_rate_nm_per_s(self, current: NDArray[np.float64]) -> NDArray[np.float64]:
        """Growth along the normal at the columns, (ny, nx), by mA/cm² of the metal."""
        return np.asarray(current * self._model.cell.faraday_nm_per_s * self._columns_efficiency)

    def add_balance(self, balance: Balance) -> Balance:
        """Keep the balance of a step, the electrode's potential now in V, its current in mA/cm²."""
        unit_ma_per_cm2 = self._model.problem.scales.current_a_per_m2 / 10
        balance = replace(
            balance,
            electrode_v=balance.electrode_v * self._model.cell.thermal_voltage_v,
            current_ma_per_cm2=balance.current_ma_per_cm2 * unit_ma_per_cm2,
            charge_c_per_cm2=1e-3 * balance.charge_c_per_cm2 * unit_ma_per_cm2,
        )
        self.balances.append(balance)
        return balance

    @property
    def last_time_s(self) -> float:
        """Of the last state recorded; -1 before the first."""
        return float(self.states[-1]["time_s"]) if self.states else -1.0

    def solution(self, timings_s: dict[str, float]) -> Solution:
        """Put all together."""
        model, columns = self._model, self._model.columns
        nodes = {name: np.stack([state[name] for state in self.states]) for name in self.states[0]}

        def pixels(name: str) -> NDArray[np.float32]:
            values = nodes[name] if nodes[name].ndim == 3 else nodes[name][..., 0]
            return columns.to_pixels(values).astype(np.float32)

        current = columns.to_pixels(nodes["current"])
        # Interpolated as a product: the current per area as seen from above, which adds up to the total.
        metal = nodes["current"] - nodes["hydrogen"]
        seen_metal = columns.to_pixels(metal * nodes["area_ratio"])
        rate = model.cell.faraday_nm_per_s * model.efficiency
        evolves = model.cell.hydrogen is not None and model.kind != "primary"
        return Solution(
            times_s=nodes["time_s"],
            concentration_mol_per_l=pixels("concentration"),
            potential_v=pixels("potential"),
            overpotential_v=pixels("overpotential"),
            current_density_ma_per_cm2=current.astype(np.float32),
            height_rate_nm_per_s=(seen_metal * rate).astype(np.float32),
            normal_rate_nm_per_s=(columns.to_pixels(metal) * rate).astype(np.float32),
            area_ratio=pixels("area_ratio"),
            electrode_v=nodes["electrode_v"],
            height_um=nodes["height_um"],
            filled=columns.filled,
            pixel_um=columns.pixel_um,
            kind=model.kind,
            cell=model.cell,
            fields=Fields(
                x_um=columns.x_um,
                y_um=columns.y_um,
                z_um=nodes["z_um"],
                concentration_mol_per_l=nodes["concentration"],
                potential_v=nodes["potential"],
                current_density_ma_per_cm2=nodes["current"],
                overpotential_v=nodes["overpotential"],
                height_rate_nm_per_s=nodes["normal_rate"] * nodes["area_ratio"],
                normal_rate_nm_per_s=nodes["normal_rate"],
                hydrogen_current_density_ma_per_cm2=nodes["hydrogen"] if evolves else None,
            ),
            balances=tuple(self.balances),
            timings_s=timings_s,
            notes=(*model.notes, *self.notes),
            stopped=self.stopped,
            mean_current_ma_per_cm2=nodes["mean_current"],
            cell_voltage_v=nodes["cell_voltage"],
            hydrogen_current_density_ma_per_cm2=pixels("hydrogen") if evolves else None,
        )
