"""Detection of particles between two scans: pairs, registration, slices along the surface, focus in z."""
