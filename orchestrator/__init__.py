"""Understands a request, plans it and answers it."""
