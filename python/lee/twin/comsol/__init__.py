"""The twin as a model for COMSOL."""
