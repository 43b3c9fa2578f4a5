"""Thorlabs stepper stages on a K-Cube.

`driver` has the keys of a rig's file, `stage` the device, `settings` its limits and speeds, `apt` the
connection.
"""
