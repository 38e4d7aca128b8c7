"""What requests may hold, with the error messages that clients of the Oasis platform know."""
