"""How one server's budget is divided among the workers that ask it, and how each keeps to its part. Pure."""
