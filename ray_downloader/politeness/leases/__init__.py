"""How one server's budget is divided among its holders, and how each keeps to its part. Pure."""
