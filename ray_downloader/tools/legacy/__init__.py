"""Tools of three classes (filter, scheduler, runner), as distributed-downloader has them."""
