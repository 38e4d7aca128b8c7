"""The API's second process: tells clients over websockets what waits, runs and serves on the queues."""
