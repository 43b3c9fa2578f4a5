"""The solver: equations in weak form, Newton's method, multigrid over columns, time steps.

A room of its own, shared by surfaces at rest, growing ones, and solutions on several ranks.
"""
