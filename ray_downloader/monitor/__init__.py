"""What the user sees of a run: its progress while it runs, a summary at its end."""
