"""The measured surface with its provenance, and what one surface alone shows.

`surface` holds `lee.Surface`; the rest measures it: curvature and the noise that limits it, areal parameters,
profiles, regions, filling.
"""
