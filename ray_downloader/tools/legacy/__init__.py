"""Tools of three classes (filter, scheduler, runner), as in distributed-downloader."""
