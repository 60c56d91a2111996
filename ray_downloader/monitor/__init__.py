"""What the user sees of a run: progress while it goes on, a summary at its end."""
