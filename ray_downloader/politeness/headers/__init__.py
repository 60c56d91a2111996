"""Each header that matters for politeness, read in one place. Pure."""
