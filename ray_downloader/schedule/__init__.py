"""Scheduling: what is left of a run, and which of it is done next in which task."""
