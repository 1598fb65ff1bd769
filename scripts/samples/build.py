"""Builds the sample documents from their Markdown sources.

Usage: build.py FOLDER, where FOLDER/src holds the sources and FOLDER receives the documents. The same sources and the
same pinned libraries give the same bytes. This file knows the documents' list; word.py and pages.py know the formats.
"""

import sys
from pathlib import Path

from markdown_it import MarkdownIt

import pages
import word

PDFS = (
    pages.Layout("02-rabota-s-vozrazheniyami", "ru", "DejaVu Serif", "Работа с возражениями · пособие консультанта", "Стр."),
    pages.Layout("03-voronka-i-metriki", "ru", "DejaVu Sans", "Метрики онлайн-школы · рабочий документ", "Стр.", outline=True),
    pages.Layout("04-consultative-selling", "en", "DejaVu Serif Condensed", "Selling to institutions · a field guide", "Page"),
)


def main(folder: Path) -> None:
    markdown = MarkdownIt("commonmark").enable("table")

    source = folder / "src" / "01-metodika-prodazh.md"
    target = folder / "01-metodika-prodazh.docx"
    word.write(markdown.parse(source.read_text("utf-8")), target, "Методика продажи · пособие консультанта")
    for layout in PDFS:
        html = markdown.render((folder / "src" / f"{layout.name}.md").read_text("utf-8"))
        pages.write(html, folder / f"{layout.name}.pdf", layout)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build.py FOLDER")
    main(Path(sys.argv[1]))
