"""What one server's answers say about its limit, and what is done about it. Pure."""
