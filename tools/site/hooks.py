"""Pages of the site that are made of files outside of docs/: the repository's own pages, and the examples.

In docs/ they are linked as files of the repository (`../SECURITY.md`, `../examples/draw.py`), so that the links work
where the repository is shown; here these links are turned to the pages made of them.
"""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# File of the repository: page of the site.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
# Folder of examples: of scripts and of the pictures they take.
EXAMPLES = "examples"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made of files outside of docs/."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_links(text, source, page)))
    for script in example_scripts():
        files.append(File.generated(config, f"{EXAMPLES}/{script.stem}.md", content=example_page(script)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links from docs/ to files outside of it, and separates lists from the text before them."""
    source = page.file.src_uri
    if page.file.generated_by is None:
        markdown = _links(markdown, f"docs/{source}", source)
    return _lists(markdown)


def example_scripts() -> list[Path]:
    """The scripts in examples/."""
    return sorted((ROOT / EXAMPLES).glob("*.py"))


def example_page(script: Path) -> str:
    """Title, what the script shows, and the script: its docstring's first line, the rest of it, and the code."""
    text = script.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text)) or ""
    title, _, rest = said.partition("\n")
    code = text.split('"""', 2)[2].strip("\n")
    return f"# {title.rstrip('.')}\n\n`examples/{script.name}`\n{rest}\n\n```python\n{code}\n```\n"


def _links(markdown: str, source: str, page: str) -> str:
    """Markdown of a file of the repository as a page of the site: its relative links lead to pages.

    Args:
        markdown: the text.
        source: the file, from the repository's root.
        page: its page, from the site's root.
    """
    folder = (ROOT / source).parent

    def turned(found: re.Match[str]) -> str:
        target, hash_, anchor = found[1].partition("#")
        place = (folder / target).resolve() if target else None
        if place is None or ":" in target or not place.is_relative_to(ROOT):
            return found[0]
        named = place.relative_to(ROOT).as_posix()
        if named in PAGES:
            to = PAGES[named]
        elif named.startswith(f"{EXAMPLES}/") and named.endswith(".py"):
            to = named.removesuffix(".py") + ".md"
        elif named.startswith("docs/"):
            to = named.removeprefix("docs/")
        else:
            return found[0]
        return f"]({posixpath.relpath(to, posixpath.dirname(page) or '.')}{hash_}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", turned, markdown)


def _lists(markdown: str) -> str:
    """An empty line before each list: viewers of repositories need none, MkDocs does."""
    lines: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        fenced ^= line.startswith("```")
        before = lines[-1] if lines else ""
        begins = re.match(r"(- |1\. )", line) and not re.match(r"(- |\d+\. |\s|$)", before)
        lines += ["", line] if begins and not fenced else [line]
    return "\n".join(lines) + "\n"
