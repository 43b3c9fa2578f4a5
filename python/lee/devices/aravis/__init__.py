"""GenICam cameras (USB3 Vision, GigE Vision) through Aravis.

`driver` has the keys of a rig's file, `camera` the device, `stream` one acquisition, `library` the calls.
"""
