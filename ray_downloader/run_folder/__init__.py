"""The run folder: where each file is, how it is written, which process holds the folder, and the tables' schemas."""
