"""A run under random faults for as long as you like, and the proof afterwards: `python -m tests.soak --minutes 30`."""
