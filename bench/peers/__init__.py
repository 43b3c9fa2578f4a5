"""The libraries that lee is compared with, each called in its best way and measured in the same run."""
