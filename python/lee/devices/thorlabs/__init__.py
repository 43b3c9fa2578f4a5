"""Thorlabs stepper stages on a K-Cube."""
