"""What answers look like: a model for each, and a description for each field."""
