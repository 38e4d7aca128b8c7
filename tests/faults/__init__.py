"""What goes wrong: in real processes, and in a model of the protocol."""
