"""`+experiment=demo`: loopback origin servers of our own, and a list shaped like a GBIF download."""

from ray_downloader.demo.site import DemoSite, expected_results, running_demo

__all__ = ["DemoSite", "expected_results", "running_demo"]
