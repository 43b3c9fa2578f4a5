"""Surfaces as files of other programs: 3D models for viewers, height maps for metrology.

A format is one file with one `Exporter`. `lee.export.registry` lists the built-in ones and finds those that
other packages add under the entry points ``lee.exporters``; `Surface.export` and ``lee export`` offer what it
lists.
"""
