#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh SOURCES HARNESS SECONDS: let libFuzzer grow a harness's corpus, in
# HARNESS.found, from the one in the folder SOURCES. At most 5 s and 512 MB a
# case; the allocator's memory of freed blocks is kept small for that.
# What it prints stands in HARNESS.log; its end is shown, and all that it found.
# A case that took too long is run again alone: a machine may have stood still.
set -u

harness=$2
mkdir -p "$harness.found" || exit 1
status=0
ASAN_OPTIONS="quarantine_size_mb=32:${ASAN_OPTIONS:-}" \
    "./$harness" -max_total_time="$3" -timeout=5 -rss_limit_mb=512 \
    -print_final_stats=1 -artifact_prefix="$harness.found/crash-" \
    "$harness.found" "$1/$harness.corpus" >"$harness.log" 2>&1 || status=$?
if [ $status = 70 ]; then # libFuzzer's own for a case without an end
    "./$harness" -timeout=5 -rss_limit_mb=512 "$harness.found"/crash-timeout-* \
        >>"$harness.log" 2>&1 && status=0
    echo "$harness: a case took 5 s$([ $status != 0 ] || echo ', but not again')"
fi
echo "== $harness, $3 s: $([ $status = 0 ] && echo good || echo "FAILED, $status")"
if [ $status = 0 ]; then
    grep -a '^stat::' "$harness.log"
    exit 0
fi
tail -n 60 "$harness.log" | cut -c 1-400
for found in "$harness.found"/crash-*; do
    [ ! -f "$found" ] || { echo "$found:" && base64 "$found" | head -n 40; }
done
exit 1
