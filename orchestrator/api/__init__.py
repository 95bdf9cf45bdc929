"""FastAPI: one router file a resource, no logic in routes."""
