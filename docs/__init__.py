"""The documents, and the code that generates those of them that follow from tables and contracts."""
