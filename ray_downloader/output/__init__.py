"""Durable output: results append to a journal, a finished batch becomes parquet, the marker comes last."""
