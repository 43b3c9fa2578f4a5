"""Solutions: maps, fields and balances; on disk, in figures, and for ParaView.

A room of its own, because solvers fill a solution without any knowledge of files or figures.
"""
