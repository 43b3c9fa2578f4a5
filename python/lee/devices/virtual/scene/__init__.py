"""What the virtual rig looks at: known surfaces, bodies above them, growth, nuclei."""
