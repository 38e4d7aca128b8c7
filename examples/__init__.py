"""Worked examples that are not part of the installed distribution."""
