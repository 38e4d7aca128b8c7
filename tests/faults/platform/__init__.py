"""A whole platform, broken."""
