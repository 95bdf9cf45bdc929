"""The tool `make_video`."""
