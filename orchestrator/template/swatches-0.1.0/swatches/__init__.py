"""A tool for the Atelier studio: a sheet of colours."""
