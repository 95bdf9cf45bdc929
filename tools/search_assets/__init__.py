"""The tool `search_assets`."""
