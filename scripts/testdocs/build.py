"""Writes the test documents whose formats Python can write.

Usage: build.py FOLDER. What each has in it, and what of that is to be read, the tests of adapters/textextract say.
"""

import datetime
import sys
from pathlib import Path

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font
from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.util import Inches

TITLE, BULLETS, SECTION, TITLE_ONLY = 0, 1, 2, 5  # layouts of the default template


def deck(target: Path) -> None:
    show = Presentation()

    def slide(layout: int, title: str):
        made = show.slides.add_slide(show.slide_layouts[layout])
        made.shapes.title.text = title
        return made

    def bullets(made, *lines: tuple[int, str]) -> None:
        frame = made.placeholders[1].text_frame
        for n, (level, text) in enumerate(lines):
            paragraph = frame.paragraphs[0] if n == 0 else frame.add_paragraph()
            paragraph.level, paragraph.text = level, text

    cover = slide(TITLE, "Handling objections")
    cover.placeholders[1].text = "A workshop for consultants"

    section = slide(SECTION, "Listening first")
    section.placeholders[1].text = "Why the first minute decides"

    plain = slide(BULLETS, "Three kinds of objection")
    bullets(plain, (0, "Price"), (1, "too high for the budget"), (1, "no value seen yet"), (2, "ask what they compare it with"), (0, "Time"), (0, "Trust"))
    plain.notes_slide.notes_text_frame.text = "Tell the story of the school that came back."
    box = plain.shapes.add_textbox(Inches(1), Inches(6), Inches(6), Inches(1))
    box.text_frame.text = "Most objections are questions in disguise."
    number = plain.shapes.add_textbox(Inches(8), Inches(7), Inches(1), Inches(0.5))
    number.text_frame.text = "3"
    field = number.text_frame.paragraphs[0]._p.makeelement(qn("a:fld"), {"id": "{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}", "type": "slidenum"})
    run = number.text_frame.paragraphs[0].runs[0]._r
    field.append(run.find(qn("a:t")))
    run.getparent().replace(run, field)

    goes_on = slide(BULLETS, "Three kinds of objection")
    bullets(goes_on, (0, "Each is answered in its own way."))
    goes_on.placeholders[1].text_frame.paragraphs[0]._p.get_or_add_pPr().append(goes_on.placeholders[1]._element.makeelement(qn("a:buNone"), {}))

    slide(SECTION, "Answering").placeholders[1].text = ""
    table = slide(TITLE_ONLY, "What to say")
    grid = table.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(8), Inches(3)).table
    for y, row in enumerate((("Objection", "Answer", "Share"), ("Too expensive", "Compare the result", "41 %"), ("Not now", "", "23 %"))):
        for x, text in enumerate(row):
            grid.cell(y, x).text = text
    group = table.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(6), Inches(4), Inches(1)).text_frame.text = "Source: calls of 2026"

    secret = slide(BULLETS, "Hidden slide")
    bullets(secret, (0, "not to be shown"))
    secret._element.set("show", "0")

    show.core_properties.title = "PowerPoint Presentation"
    show.save(target)


def workbook(target: Path) -> None:
    book = Workbook()
    plan = book.active
    plan.title = "План обучения"
    plan["B2"] = "Бюджет на осень"
    plan["B2"].font = Font(bold=True)
    rows = (
        ("Модуль", "Начало", "Часы", "Цена", "Доля", "Секрет"),
        ("Продажи", datetime.date(2026, 9, 1), 12, 15400.5, 0.4, "нет"),
        ("Переговоры", datetime.date(2026, 10, 12), 8, 9990, 0.255, "нет"),
        ("Итого", None, "=SUM(D5:D6)", None, None, "нет"),
    )
    for y, row in enumerate(rows, start=4):
        for x, value in enumerate(row, start=2):
            plan.cell(y, x, value)
    for y in (5, 6):
        plan.cell(y, 3).number_format = "dd.mm.yyyy"
        plan.cell(y, 5).number_format = '#,##0.00" ₽"'
        plan.cell(y, 6).number_format = "0.0%"
    plan.column_dimensions["G"].hidden = True
    plan["B6"].comment = Comment("Комментарий", "Автор")
    plan["B9"], plan["C9"] = "скрытая строка", 1
    plan.row_dimensions[9].hidden = True

    numbers = book.create_sheet("Sheet2")
    for row in (("Question", "Right"), ("2 + 2", True), ("when", datetime.datetime(2026, 11, 25, 9, 30))):
        numbers.append(row)
    book.create_sheet("Пустой")
    hidden = book.create_sheet("Скрытый")
    hidden["A1"], hidden["B1"] = "скрытый лист", 1
    hidden.sheet_state = "hidden"
    book.properties.title = "План на осень"
    book.save(target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build.py FOLDER")
    deck(Path(sys.argv[1]) / "objections.pptx")
    workbook(Path(sys.argv[1]) / "plan.xlsx")
