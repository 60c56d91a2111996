"""The run folder: where each file is, how one is written, who holds it, and what the tables in it look like."""
