"""Rows to the JSON that clients read."""
