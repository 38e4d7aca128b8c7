"""The whole platform, on real models."""
