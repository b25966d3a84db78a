#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libmoeref exports the functions of ref/moeref.h and nothing else.
set -eu

library=$top_builddir/.libs/libmoeref.so
if [ ! -e "$library" ]; then
    echo "skipped: no shared library"
    exit 77
fi
exported=$("$NM" -D --defined-only "$library" |
    awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort)
data=$("$NM" -D --defined-only "$library" | awk '$2 ~ /^[BDRVW]$/')
declared=$(grep -o 'moeref_[a-z0-9_]*(' "$top_srcdir/ref/moeref.h" |
    tr -d '(' | grep -v '_t$' | sort -u)

if [ "$exported" != "$declared" ] || [ -n "$data" ]; then
    echo "failed: exported (<) is not what is declared (>)"
    diff <(echo "$exported") <(echo "$declared") || true
    echo "$data"
    exit 1
fi
echo "suite: 1 passed, 0 failed, 0 skipped"
