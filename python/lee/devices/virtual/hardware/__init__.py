"""The virtual rig's devices: a camera and a stage with the faults of real ones, and a simulated clock."""
