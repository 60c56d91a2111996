"""Command line: `python -m ray_downloader.grafana FOLDER`."""

from __future__ import annotations

import sys

from ray_downloader.grafana import main

if __name__ == "__main__":
    sys.exit(main())
