"""Look over the built site: links, anchors and images by their files; with a browser, its pages.

    python docs/check.py docs/_build/html
    python docs/check.py docs/_build/html --browser

The first needs no connection. ``--browser`` opens pages in a headless Chromium, as wide
as a desk and as a phone: a message on the console, a request that leaves the machine or a page
wider than its window is an error. It needs ``pip install playwright`` and Chromium, whose path
``CHROMIUM`` names (/usr/bin/chromium); ``--screenshots FOLDER`` keeps pictures to look at.
"""

import argparse
import os
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WIDTHS = (1280, 390)
HARMLESS = ("file:", "data:", "log:", "info:", "debug:")
EVERYWHERE = ("http", "mailto", "data", "javascript")


class Page(HTMLParser):
    """What a page links to, and the places that it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = set(), {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places |= {attributes.get("id"), attributes.get("name")}
        self.links |= {attributes[key] for key in ("href", "src") if attributes.get(key)}


def broken_links(root):
    """Links to files or anchors that are not there, and scripts or styles from elsewhere."""
    pages = {
        path.resolve(): Page(path) for path in root.rglob("*.html") if "_static" not in path.parts
    }
    for path, page in pages.items():
        for link in page.links:
            scheme, host, target, _, anchor = urlsplit(link)
            if scheme in EVERYWHERE or host:
                continue
            file = (path.parent / unquote(target)).resolve() if target else path
            if not file.exists() or (file in pages and unquote(anchor) not in pages[file].places):
                yield path, link


def look(root, screenshots):
    """What a browser complains of."""
    from playwright.sync_api import sync_playwright

    folders = root, root / "auto_examples", root / "seeds"
    pages = [page for folder in folders for page in sorted(folder.glob("*.html"))]
    pages.append(root / "api" / "skcae.ConvAutoencoder.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for width in WIDTHS:
            tab = browser.new_page(viewport={"width": width, "height": 900})
            said = []
            tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))  # noqa: B023
            tab.on("pageerror", lambda error: said.append(str(error)))  # noqa: B023
            tab.on("request", lambda request: said.append(request.url))  # noqa: B023
            for page in pages:
                said.clear()
                tab.goto(page.resolve().as_uri(), timeout=120_000)
                tab.wait_for_timeout(200)
                yield from ((page, width, text) for text in said if not text.startswith(HARMLESS))
                beyond = tab.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                if beyond > 0:
                    yield page, width, f"{beyond} pixels wider than the window"
                if screenshots:
                    tab.screenshot(
                        path=screenshots / f"{page.parent.name}.{page.stem}.{width}.png"
                    )
        browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--screenshots", type=Path)
    options = parser.parse_args()
    faults = [f"{path}: {link}" for path, link in broken_links(options.root)]
    if options.browser:
        faults += [": ".join(map(str, fault)) for fault in look(options.root, options.screenshots)]
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
