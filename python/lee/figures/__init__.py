"""Figures: maps, curves, reliefs, films and the pages of reports. Drawing only, no analysis."""
