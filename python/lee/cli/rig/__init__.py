"""`lee rig`: one module a command, and the options they share."""
