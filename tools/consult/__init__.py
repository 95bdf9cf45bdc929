"""The tool `consult`."""
