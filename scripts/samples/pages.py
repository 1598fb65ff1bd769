"""Prints HTML as an A4 PDF with a running header, page numbers and embedded fonts."""

from dataclasses import dataclass
from pathlib import Path

from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration


@dataclass(frozen=True)
class Layout:
    """How one document looks. Only some real documents have an outline, so outline is a choice."""

    name: str
    language: str
    font: str
    header: str
    page_word: str
    outline: bool = False


def write(html: str, target: Path, layout: Layout) -> None:
    title = html.split("<h1>", 1)[1].split("</h1>", 1)[0]
    page = f'<html lang="{layout.language}"><head><title>{title}</title></head><body>{html}</body></html>'
    fonts = FontConfiguration()
    styles = [CSS(Path(__file__).with_name("pages.css"), font_config=fonts), CSS(string=_own(layout), font_config=fonts)]
    HTML(string=page).write_pdf(target, stylesheets=styles, font_config=fonts)


def _own(layout: Layout) -> str:
    bookmarks = "" if layout.outline else "h1, h2, h3 { bookmark-level: none }"
    return f"""
        html {{ font-family: '{layout.font}' }}
        @page {{
            @top-left {{ content: '{layout.header}'; font: 8pt '{layout.font}' }}
            @bottom-center {{ content: '{layout.page_word} ' counter(page); font: 8pt '{layout.font}' }}
        }}
        {bookmarks}
    """
