"""Documents: reading them, splitting them into passages, finding the passages that answer a question."""
