#!/usr/bin/env bash
# Holds the documents to the tree: links lead somewhere, files that are named exist, tests that are cited are there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

faults=0
fault() {
    printf '%s\n' "$*" >&2
    faults=$((faults + 1))
}

mapfile -t pages < <(git ls-files --cached --others --exclude-standard '*.md')

for page in "${pages[@]}"; do
    while read -r target; do
        path="${target%%#*}"
        [ -z "$path" ] || [ -e "$(dirname "$page")/$path" ] || fault "$page: link to $target leads nowhere"
    done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+:' || true)
done

# `path/file.rs::test_name`, and any `path/with/slashes` that ends in / or in a known suffix.
for page in README.md REQUIREMENTS.md CONTRIBUTING.md PROJECT_RULES.md docs/ARCHITECTURE.md docs/adr/*.md; do
    while read -r cited; do
        file="${cited%%::*}"
        case "$file" in *'{'* | *'<'* | *'…'* | *'$'* | *YYYY* | '~'* | /* | http*) continue ;; esac
        if [ ! -e "$file" ]; then
            fault "$page: \`$file\` does not exist"
        elif [ "$cited" != "$file" ] && ! grep -qE "fn ${cited#*::}\b" "$file"; then
            fault "$page: $file has no test ${cited#*::}"
        fi
    done < <(grep -oE '`[A-Za-z0-9_./{},-]+/([A-Za-z0-9_.-]+\.(rs|md|toml|sh|yaml|proto|jsonl)(::[a-z0-9_]+)?)?`' "$page" | tr -d '`' | sort -u || true)
done

[ "$faults" = 0 ] || fail "$faults fault(s) in the documents"
