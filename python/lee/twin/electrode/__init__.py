"""The electrode reaction: its kinetics, derivatives for Newton's method, and the equations' scales."""
