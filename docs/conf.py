"""The documentation as a site: ``make docs`` builds it into build/docs, and a broken link fails the build.

The source is the whole repository, so that pages may link to the README and to each other as GitHub shows them.
"""

from prefetch import __version__

project = "prefetch"
copyright = "the prefetch authors"  # noqa: A001 - Sphinx's own name
release = __version__
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "deploy/**/*.md"]
html_theme = "furo"
html_title = f"prefetch {release}"
# The site's own first page leads to that of the documentation.
templates_path = ["site"]
html_additional_pages = {"index": "index.html"}
# Headings get the anchors that GitHub gives them.
myst_heading_anchors = 4
