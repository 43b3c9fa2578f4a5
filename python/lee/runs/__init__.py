"""One experiment on disk: its scans and their times, the store of its surfaces, and what fills that store.

What is measured over time from these surfaces is in `lee.series`.
"""
