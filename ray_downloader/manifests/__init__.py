"""IIIF manifests that a list names by URL: fetched before the partition as politely as images, kept in the run folder.

`reader.py` is the entry. What is fetched is in `manifests/`, in the form of small run folders (`store.py`); a worker in
this process fetches it (`fetching.py`), under the law of the download and with its budgets (`watch.py`).
"""
