"""Tests mirror the sources; `support/` holds the loopback origin and other helpers."""
