"""The rig at work: scans are acquired, recorded and reconstructed at the same time.

One scan is in `acquire`, a run of scans in `record`. `calibration` measures the stage with the camera,
`doctor` checks the rig, and `live` is the rig's page. The devices themselves are in `lee.devices`, raw scans
on disk in `lee.recording`.
"""
