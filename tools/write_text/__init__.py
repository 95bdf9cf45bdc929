"""The tool `write_text`."""
