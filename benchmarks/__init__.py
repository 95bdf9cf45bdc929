"""What we claim about speed and quality, each a command."""
