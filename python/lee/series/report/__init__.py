"""The report of a series: its results, summary, notes, tables and figures, written as one HTML page."""
