"""The command `mlip-auto`."""
