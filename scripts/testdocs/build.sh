#!/usr/bin/env bash
# Rebuilds the documents in adapters/textextract/testdata that office programs wrote.
#
# Needs Python 3.11 or newer with venv, LibreOffice 7.4 and pandoc 2.17 or newer; on Debian and Ubuntu:
#   apt-get install python3-venv pandoc libreoffice-writer-nogui libreoffice-impress-nogui libreoffice-calc-nogui
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/adapters/textextract/testdata
venv=$root/.cache/testdocs-venv

for program in soffice pandoc; do
	command -v "$program" >/dev/null || { echo "build test documents: $program is missing; see the head of this script" >&2; exit 1; }
done
[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$here/build.py" "$out"

# LibreOffice's own writing of the same, from a profile that is thrown away.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
convert() { # FORMAT FILE
	soffice "-env:UserInstallation=file://$scratch/profile" --headless --convert-to "$1" --outdir "$scratch" "$2" >/dev/null
}
convert odt "$here/handbook.fodt"
convert docx "$scratch/handbook.odt"
convert pptx "$out/objections.pptx"
convert xlsx "$out/plan.xlsx"
cp "$scratch"/handbook.{odt,docx} "$out"
cp "$scratch/objections.pptx" "$out/objections-libreoffice.pptx"
cp "$scratch/plan.xlsx" "$out/plan-libreoffice.xlsx"
# Two books of one source: with today's table of contents, and with that of old.
pandoc --from markdown --to epub3 --epub-chapter-level=2 --toc-depth=3 --output "$out/handbook.epub" "$here/handbook.md"
pandoc --from markdown --to epub2 --epub-chapter-level=1 --output "$out/handbook-2.epub" "$here/handbook.md"
