"""`report.html`: what a run did, why some rows have no image, whom to ask and what to cite, in one file.

`gather.py` reads a run folder into one document (plain JSON), `page.py` puts it into the page, `multiqc.py` into the
form that MultiQC collects. Nothing here contacts a server, and every text of a list or a server reaches the page as
data, never as markup.
"""
