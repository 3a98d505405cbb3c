#!/usr/bin/env bash
# Syntax of every shell script; shellcheck as well where it is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t files < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
for file in "${files[@]}"; do bash -n "$file"; done
if command -v shellcheck >/dev/null 2>&1; then
    shellcheck -x -e SC1091,SC2317,SC2012 "${files[@]}"
else
    echo "shellcheck is not installed: only the syntax of ${#files[@]} scripts was checked"
fi
