"""Large graphs as loops over memory."""
