"""The phase that writes graphs as Julia: small ones number by number, large ones as loops."""
