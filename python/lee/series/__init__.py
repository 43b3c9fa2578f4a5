"""From the surfaces of a run to growth: alignment, rates, regions over time, area, relation to curvature.

`analyse` is the whole path, `steps` its steps in order. `alignment` and `growth` are rooms of their own, as
is `report`: the figures, tables and page of the results.
"""
