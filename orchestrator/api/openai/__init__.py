"""The shapes of OpenAI: what its official client asks, answered by this studio."""
