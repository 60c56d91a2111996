"""What one server's answers reveal about its limit, and what is done about it. Pure."""
