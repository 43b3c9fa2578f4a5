"""Figures: maps, curves, reliefs, films and the pages of reports.

Drawing only: what is shown has been computed elsewhere. So all results share colours, scale bars, the marking
of what was not measured, and the colours of phases and regions, and no analysis depends on matplotlib.
"""
