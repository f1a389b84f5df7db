"""The documentation site builds without a warning, has no broken link, and needs nothing from elsewhere."""

import html.parser
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest

import knuckle

ROOT = Path(__file__).parents[1]
API_PAGE = ROOT / "docs" / "api.md"


class Page(html.parser.HTMLParser):
    """What of a page is tested: ids, links, what the browser loads, and texts of paragraphs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.paragraphs: list[str] = []
        self._within = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag in ("script", "img", "iframe", "video"):
            self.loaded.append(given.get("src") or "")
        if tag == "link" and given.get("rel") != "canonical":
            self.loaded.append(given.get("href") or "")
        if tag == "p":
            self._within += 1
            self.paragraphs.append("")

    def handle_endtag(self, tag):
        self._within -= tag == "p"

    def handle_data(self, data):
        if self._within:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict[Path, Page]:
    """The pages of the site, by their files."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    # A proxy that is not there: what is asked of the network fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in sorted(folder.rglob("*.html")) if path.name != "404.html"}


def test_every_link_leads_to_a_page_and_a_place_in_it(site):
    broken = []
    for path, page in site.items():
        for link in page.links:
            target, _, anchor = unquote(link).partition("#")
            if ":" in target or not link:
                continue
            to = (path.parent / target).resolve() if target else path
            if not to.exists() or (anchor and to in site and anchor not in site[to].ids):
                broken.append(f"{path.name}: {link}")
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site):
    elsewhere = {address for page in site.values() for address in page.loaded if re.match(r"(https?:)?//", address)}
    assert not elsewhere


def test_lists_and_tables_are_not_shown_as_text(site):
    """Python-Markdown, unlike the repository's viewer, takes a list or a table only after an empty line."""
    raw = [
        f"{path.name}: {line.strip()}"
        for path, page in site.items()
        for text in page.paragraphs
        for line in text.splitlines()
        if re.match(r"\s*(- |\d+\. |\|.*\|$|#+ |```|::: )", line)
    ]
    assert not raw


def test_the_api_page_has_the_public_names_and_no_others(site):
    """What it documents under each name is what `knuckle` has under it."""
    entries = re.findall(r"^::: (\S+)\n    options: \{heading: knuckle\.(\w+),", API_PAGE.read_text(), re.MULTILINE)
    assert sorted(name for _, name in entries) == sorted(knuckle.__all__)
    assert API_PAGE.read_text().count("::: ") == len(entries)
    (page,) = (page for path, page in site.items() if path.name == "api.html")
    for place, name in entries:
        assert place in page.ids
        module, _, attribute = place.rpartition(".")
        documented, public = getattr(import_module(module), attribute), getattr(knuckle, name)
        # `knuckle.predict` is a package that can be called: its documentation is the function's.
        assert documented is public or documented.__doc__ == type(public).__call__.__doc__


def test_what_a_room_exports_is_on_its_page(site):
    missing = []
    for source in sorted((ROOT / "docs" / "api").glob("*.md")):
        (page,) = (page for path, page in site.items() if path.parts[-2:] == ("api", f"{source.stem}.html"))
        for room in re.findall(r"^## `(\S+)`$", source.read_text(), re.MULTILINE):
            for name in getattr(import_module(room), "__all__", ()):
                # Constants are documented where they are used. Of a function named as its module the module is meant.
                shown = {f"{room}.{name}", f"{room}.{name}.{name}"} & page.ids
                if callable(getattr(import_module(room), name)) and not shown:
                    missing.append(f"{room}.{name}")
    assert not missing
