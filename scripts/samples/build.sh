#!/usr/bin/env bash
# Rebuilds docs/samples from docs/samples/src.
#
# Needs Python 3.11 or newer with venv, the DejaVu fonts and Pango; on Debian and Ubuntu:
#   apt-get install python3-venv fonts-dejavu-core fonts-dejavu-extra libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.cache/samples-venv

for family in "DejaVu Sans" "DejaVu Serif"; do
	if [[ -z $(fc-list "$family" 2>/dev/null) ]]; then
		echo "build samples: the font $family is missing; install fonts-dejavu-core and fonts-dejavu-extra" >&2
		exit 1
	fi
done

[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$here/build.py" "$root/docs/samples"
