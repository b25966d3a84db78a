#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh SOURCES HARNESS SECONDS: let libFuzzer grow a harness's corpus, in
# HARNESS.found, from the one in the folder SOURCES. At most 5 s and 512 MB a
# case; the allocator's memory of freed blocks is kept small for that.
set -eu

harness=$2
echo "== $harness, $3 s"
mkdir -p "$harness.found"
ASAN_OPTIONS="quarantine_size_mb=32:${ASAN_OPTIONS:-}" \
    exec "./$harness" -max_total_time="$3" -timeout=5 -rss_limit_mb=512 \
    -print_final_stats=1 -artifact_prefix="$harness.found/crash-" \
    "$harness.found" "$1/$harness.corpus"
