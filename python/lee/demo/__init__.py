"""The demonstration: scans of known surfaces are rendered, measured, and compared with the truth.

`demo` runs it from the first scan to the report. Its parts are one surface (`height_errors`, beside
`baseline_focus`), an electrode that grows (`growing`), nuclei that appear (`nucleation`), and the digital
twin (`twin`).
"""
