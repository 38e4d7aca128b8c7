"""The API as an OpenAPI document: every route, what it takes, and what it answers."""
