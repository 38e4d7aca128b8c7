"""Accounts that an OpenID Connect provider vouches for: its keys, its tokens, its grants."""
