"""Vectors of texts, so that near means alike."""

from models.embedding.encoder import HashEncoder, TextEncoder

__all__ = ["HashEncoder", "TextEncoder"]
