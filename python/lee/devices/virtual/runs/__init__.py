"""Rendered runs with their truth: a growing scene scanned again and again.

A run's folder is one that `lee series` reads, with ``truth.npz`` beside the scans.
"""
