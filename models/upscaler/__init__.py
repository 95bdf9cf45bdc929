"""A small net that makes 64-pixel pictures 256 pixels wide."""
