"""Measured rates against computed ones: comparison, inversion for efficiency or exchange current, window.

A room of its own: it uses finished solutions, and no solver depends on it.
"""
