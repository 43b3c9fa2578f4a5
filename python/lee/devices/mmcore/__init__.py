"""Cameras of Micro-Manager through its core.

`driver` has the keys of a rig's file, `camera` the device, `stream` one acquisition, `system` what of a
Micro-Manager configuration belongs to the camera.
"""
