"""Writes Markdown tokens as a Word document in Word's own styles (Heading 1..3, Normal, List Bullet, List Number, Quote)."""

import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt
from markdown_it.tree import SyntaxTreeNode

WRITTEN = datetime(2026, 11, 1)  # a fixed date keeps a rebuild byte-identical
LIST_STYLES = {"bullet_list": "List Bullet", "ordered_list": "List Number"}


def write(tokens, target: Path, header: str) -> None:
    document = Document()
    _set_page(document, header)
    for node in SyntaxTreeNode(tokens).children:
        _block(document, node)
    core = document.core_properties
    core.title = document.paragraphs[0].text
    core.author, core.comments, core.language = "Lectern", "", "ru-RU"
    core.created = core.modified = WRITTEN
    buffer = BytesIO()
    document.save(buffer)
    _save_with_fixed_times(buffer, target)


def _set_page(document, header: str) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(24)
    section.top_margin = section.bottom_margin = Mm(24)
    section.header.paragraphs[0].text = header
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _add_page_number(footer)
    normal = document.styles["Normal"]
    normal.font.size = Pt(11)
    language = OxmlElement("w:lang")
    language.set(qn("w:val"), "ru-RU")
    normal.element.get_or_add_rPr().append(language)


def _add_page_number(paragraph) -> None:
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    paragraph._p.append(field)


def _block(document, node) -> None:
    if node.type == "heading":
        _inline(document.add_paragraph(style=f"Heading {node.tag[1]}"), node)
    elif node.type == "paragraph":
        _inline(document.add_paragraph(), node)
    elif node.type == "blockquote":
        for child in node.children:
            _inline(document.add_paragraph(style="Quote"), child)
    elif node.type in LIST_STYLES:
        for item in node.children:
            _inline(document.add_paragraph(style=LIST_STYLES[node.type]), item.children[0])
    elif node.type == "table":
        _table(document, node)
    else:
        raise ValueError(f"build sample: no Word style for {node.type}")


def _table(document, node) -> None:
    rows = [row for part in node.children for row in part.children]
    table = document.add_table(len(rows), len(rows[0].children), style="Light Grid Accent 1")
    for cells, row in zip(table.rows, rows):
        for cell, content in zip(cells.cells, row.children):
            _inline(cell.paragraphs[0], content)
    document.add_paragraph()


def _inline(paragraph, node) -> None:
    for child in node.children[0].children:
        if child.type == "text":
            paragraph.add_run(child.content)
        elif child.type == "strong":
            paragraph.add_run(child.children[0].content).bold = True
        elif child.type == "link":
            _link(paragraph, child)
        else:
            raise ValueError(f"build sample: no Word run for {child.type}")


def _link(paragraph, node) -> None:
    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), paragraph.part.relate_to(node.attrs["href"], RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    run = paragraph.add_run(node.children[0].content)
    run.underline = True
    link.append(run._r)
    paragraph._p.append(link)


def _save_with_fixed_times(source: BytesIO, target: Path) -> None:
    """Copies the package with one date for every part: Word ignores it, a diff does not."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, WRITTEN.timetuple()[:6]), old.read(name), zipfile.ZIP_DEFLATED)
