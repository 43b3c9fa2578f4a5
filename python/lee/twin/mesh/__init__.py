"""The mesh: heights of the surface, columns of hexahedra over it, and how they move with it.

A room of its own, because solver, growth and the COMSOL export all start from the same columns.
"""
