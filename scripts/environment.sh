#!/bin/sh
# environment.sh REQUIREMENTS: make $VENV with a Python >= 3.11 and install the pinned file,
# only when the file or what it includes has changed since the last time.
set -eu
requirements=$1
venv=${VENV:-.venv}

fail() { echo "ood-lens: $*" >&2; exit 1; }

suits() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ ! -x "$venv/bin/python" ]; then
    found=
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && suits "$candidate"; then found=$candidate; break; fi
    done
    [ -n "$found" ] || fail "no Python 3.11 or newer with venv found. Install one (https://www.python.org) or name it: make run PYTHON=/path/to/python3"
    echo "Making $venv with $("$found" --version)"
    "$found" -m venv "$venv" || fail "could not make $venv; on Debian or Ubuntu: apt-get install python3-venv"
fi

# A stamp per file holds its checksum. requirements-dev.txt includes requirements.txt and stamps both.
venv_stamp() { echo "$venv/.installed-$(basename "$1")"; }
checksum() { cat "$@" | cksum; }
if [ "$requirements" = requirements-dev.txt ]; then
    wanted=$(checksum requirements.txt requirements-dev.txt)
else
    wanted=$(checksum "$requirements")
fi
stamp=$(venv_stamp "$requirements")
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

echo "Installing $requirements into $venv (the first time takes a few minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" ||
    fail "installing $requirements failed. Is there a network connection? The lines above say what pip could not fetch; run the same command again to continue."
printf '%s\n' "$wanted" >"$stamp"
if [ "$requirements" = requirements-dev.txt ]; then
    checksum requirements.txt >"$(venv_stamp requirements.txt)"
fi
echo "Environment ready"
