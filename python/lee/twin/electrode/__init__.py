"""The electrodes: kinetics of their reaction, and the plating current at each column of the mesh.

Kinetics are small classes behind a registry (`reactions`), so that another reaction needs one file and one
line. They know nothing of meshes, cells or solvers.
"""
