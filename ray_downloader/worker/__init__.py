"""The worker: one event loop that leases permits, moves bytes, makes images and records them. No Ray here."""
