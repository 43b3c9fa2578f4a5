"""How the virtual rig sees it: wave optics, layers, occlusions, sensor noise."""
