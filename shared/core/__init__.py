"""The rules of Lossline, without I/O, clock or logging: states, plans, decisions, retries, chunk counts."""
