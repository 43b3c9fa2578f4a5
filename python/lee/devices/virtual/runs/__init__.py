"""Rendered runs with their truth: a growing scene scanned again and again."""
