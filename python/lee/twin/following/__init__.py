"""A measured run in the twin: its surfaces as moving boundary, what is computed on them, and the report.

A room of its own: it reads height maps over time, which no other part of the twin does.
"""
