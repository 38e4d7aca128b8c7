"""What waits, runs and serves on every queue: the message that the websocket and `/v2/queue-status/` send."""
