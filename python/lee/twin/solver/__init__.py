"""The solver: equations in weak form, Newton's method, multigrid over columns, time steps."""
