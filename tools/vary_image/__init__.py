"""The tool `vary_image`."""
