"""Durable output: results are appended to a journal, a finished batch becomes parquet, its marker comes last."""
