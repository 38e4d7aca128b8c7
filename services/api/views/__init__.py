"""The handlers that `routes.py` lists: a request in, an answer out."""
