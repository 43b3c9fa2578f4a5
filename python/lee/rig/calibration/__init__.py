"""Calibration of the stage with the rig's own camera: backlash, scale, and the file that holds both."""
