"""Who asks: passwords, tokens, accounts."""
