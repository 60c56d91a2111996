"""The tools that come with the package, one per file. `hamming.py` and `shards.py` are parts of two of them."""
