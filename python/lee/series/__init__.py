"""From the surfaces of a run to growth: alignment, rates, regions over time, area, relation to curvature.

`analyse` is the whole path; `steps` lists what it does in order; the rest is one step each, its tables,
figures and report.
"""
