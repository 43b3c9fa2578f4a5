"""The compiled kernels, one documented function a module: it validates, converts and calls the core.

Kernels run where their arrays are: NumPy's on the processor, with results in NumPy arrays; those on a CUDA
device (CuPy's, or anything with ``__cuda_array_interface__`` or DLPack) on that device, on CuPy's current
stream, with results in CuPy arrays. There nothing is converted or copied: dtype and layout must be as
documented, and calls return before the work is done.

This is a room because it is one of two that import the compiled core; `lee.reconstruction` is the other.
"""
