"""Finding, installing and diagnosing Julia; nothing here starts it in this process."""
