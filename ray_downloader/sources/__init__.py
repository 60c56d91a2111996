"""What lists of URLs look like: where they are, how their text is read, and what the columns of each dataset mean."""
