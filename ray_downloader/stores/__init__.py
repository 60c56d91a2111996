"""A run in an object store: it works in a folder of this machine, and what is published goes up whole, markers last."""
