"""The tool `generate_image`."""
