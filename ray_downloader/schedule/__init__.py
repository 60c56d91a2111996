"""Scheduling: what is left of a run, and which part of it is done next in which task."""
