"""Files and folders on disk: written whole or not at all, maps as TIFF and zarr, descriptions as JSON.

A room of its own because everything that writes a result writes it through here; it uses no other room.
"""
