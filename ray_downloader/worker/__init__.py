"""The worker: one event loop that leases permits, moves bytes, makes images and writes them down. No Ray here."""
