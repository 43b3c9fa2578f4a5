"""The charge that a run passed, against the volume that was measured: clocks, phases, efficiency."""
