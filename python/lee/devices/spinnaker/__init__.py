"""FLIR and Teledyne cameras through the vendor's PySpin.

`driver` has the keys of a rig's file, `camera` the device, `stream` one acquisition, `library` the vendor's
system and its nodes, `pyspin` their types.
"""
