"""Formats of potentiostats and cyclers, one reader each: text in, current and potential in SI out."""
