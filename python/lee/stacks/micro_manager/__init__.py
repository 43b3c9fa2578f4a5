"""What Micro-Manager writes: `metadata` of frames, `ndtiff` data sets, and `image_set`, one file a frame."""
