"""`lee rig`: one module per command, and the options they share."""
