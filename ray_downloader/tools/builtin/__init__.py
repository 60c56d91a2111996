"""The tools that come with the package, one a file; each registers itself."""
