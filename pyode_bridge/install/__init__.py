"""Finding and installing Julia; nothing here starts it in this process."""
