"""Prefect's pages: kept from asking anybody but our own server.

The second generation of them, which alone draws Mermaid, asks an analytics host whatever is set.
"""

from pathlib import Path

CSP_META_TAG = (
    '<meta http-equiv="Content-Security-Policy" content="connect-src \'self\' data: blob:">'
)
"""What a browser takes as: talk to the host that this page came from, and to no other."""


def add_csp(home: Path) -> None:
    """Make browsers ask only our own server for data; done once for each version of the pages."""
    for page in (home / "ui").glob("v*/index.html"):
        text = page.read_text()
        if CSP_META_TAG not in text:
            page.write_text(text.replace("<head>", f"<head>{CSP_META_TAG}", 1))
