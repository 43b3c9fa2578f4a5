"""Statistics that several rooms share: medians of maps with missing values, line fits, block bootstrap.

It uses no other room.
"""
