#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086 # sourced by remote.sh, whose variables these are
# Every call that a dialect spells, sent to its counterpart: see tests/differential/src/cells. Sourced by tests/e2e/remote.sh.

# What not every engine has: dates before the year 1 and after 9999, infinities, NaN.
extremes() {
    cat <<'SQL'
(1, '0044-03-15 BC', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC', 'NaN', 'NaN'), (2, 'infinity', 'infinity', 'infinity', 'Infinity', 'Infinity'),
(3, '-infinity', '-infinity', '-infinity', '-Infinity', '-Infinity'), (4, '5874897-12-31', '290000-12-31 23:59:59.999999', '290000-12-31 23:59:59.999999+00', '1.7976931348623157e308', '3.4028235e38'),
(5, NULL, NULL, NULL, NULL, NULL), (6, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', '-0', '-0'), (7, '2024-02-29', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+00', '0.1', '0.1'),
(8, '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '4.9e-324', '1e-45'), (9, '1999-12-31', '1999-12-31 23:59:59', '1999-12-31 23:59:59+00', '1', '1'), (10, '2000-01-01', '2000-01-01 00:00:00', '2000-01-01 00:00:00+00', '-1.5', 'NaN')
SQL
}

cells() { # label, schema of the foreign table, schema of the local one, table, functions that the counterpart is known to compute otherwise than the engine
    local label="$1, cells" line seen=0 started=$SECONDS
    while IFS= read -r line; do
        case $line in
            "ok "*) seen=1 && report ok "$label: ${line#ok }" ;;
            "not ok "*) seen=1 && report "not ok" "$label: ${line#not ok }" ;;
            "# "*) echo "# $label: ${line#\# }" ;;
            *) echo "# $line" ;;
        esac
    done < <("$CARGO_TARGET_DIR/release/weir-differential" --host "$(pg_sock $cluster)" --port "$WEIR_PORT" --user postgres --db "$db" cells "$3" "$2" "$4" "${@:5}" 2>&1)
    # It says so where all is well.
    if [ $seen = 0 ]; then report "not ok" "$label: the comparison ran to its end"; fi
    echo "# $label took $((SECONDS - started)) s"
}
