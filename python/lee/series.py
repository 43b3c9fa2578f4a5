"""Surfaces over time."""

from lee.run_reconstruct import reconstruct_run as reconstruct_run
