"""Emoji pictures with captions: the data that the image families learn from."""
