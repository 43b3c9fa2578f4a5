"""Parameters of a cell from measured rates and voltages, with what the data determine of them.

`log_fit` fits positive numbers to any observations; `fit` does so with the twin in between.
"""
