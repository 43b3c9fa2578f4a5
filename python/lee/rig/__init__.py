"""The rig at work: scans are acquired, recorded and reconstructed at once.

Devices themselves are in `lee.devices`, raw scans on disk in `lee.recording`; `live` is the rig's page.
"""
