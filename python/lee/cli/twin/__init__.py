"""`lee twin`: its commands, and the options they share."""
