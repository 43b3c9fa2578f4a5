"""The twin as a model for COMSOL: recorded calls, expressions, mesh and maps.

A room of its own: it shares the cell and the mesh with the solver, and nothing else.
"""
