"""OME-Zarr and plain zarr arrays: `metadata` reads NGFF, `chunks` finds missing data, `reader` the planes."""
