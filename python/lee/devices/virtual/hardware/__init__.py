"""A camera and a stage that implement the protocols of real ones, with their timing, errors and faults.

They show frames that were rendered beforehand, and so keep up with a real rig.
"""
