"""FLIR and Teledyne cameras through the vendor's PySpin."""
