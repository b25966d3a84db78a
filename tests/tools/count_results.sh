#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# count_results.sh FOLDER [STAMP]: add up the results of a make check in a
# build folder; only those newer than the file STAMP. A Check suite counts its
# tests, any other test program counts as one. Names what did not pass, then
# "skipped: N" if any were; ends with "N passed, N failed". Says nothing if
# no test ran.
set -u
shopt -s lastpipe

folder=$1
passed=0 failed=0 skipped=0 programs=0

find "$folder" -name '*.trs' ${2:+-newer "$2"} | sort | while IFS= read -r trs
do
    result=$(sed -n 's/^:test-result: //p' "$trs" | tail -n 1)
    line=$(grep -a '^suite: ' "${trs%.trs}.log" | tail -n 1)
    read -r p f s < <(sed -n \
        's/suite: \([0-9]*\) p.* \([0-9]*\) f.* \([0-9]*\) s.*/\1 \2 \3/p' \
        <<<"$line")
    p=${p:-0} f=${f:-0} s=${s:-0}
    case $result in
    PASS*) [ -n "$line" ] || p=1 ;;
    SKIP*) [ -n "$line" ] || s=1 ;;
    *) [ "$f" -gt 0 ] || f=1 ;;
    esac
    case $result in
    PASS*) ;;
    *) echo "  $result ${trs#"$folder"/}" ;;
    esac
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    programs=$((programs + 1))
done

[ "$programs" -gt 0 ] || exit 0
[ "$skipped" -eq 0 ] || echo "skipped: $skipped"
echo "$passed passed, $failed failed"
