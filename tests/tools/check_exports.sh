#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libmoeref exports what its header declares, and needs neither MPI nor YAML.
set -u
so=${top_builddir:?}/.libs/libmoeref.so
header=${top_srcdir:?}/ref/moeref.h
failed=0

if [ ! -e "$so" ]; then
    echo "no shared libmoeref in this build"
    exit 77
fi

# shellcheck disable=SC2086
declared=$(${CC:-cc} -E -P "$header" | grep -o '\bmoeref_[a-z0-9_]* *(' |
    tr -d ' (' | sort -u)
# NM may bring options of its own.
# shellcheck disable=SC2086
exported=$(${NM:-nm} -D --defined-only "$so" | awk '$2 != "A" {print $3}' |
    sed 's/@.*//' | sort -u)

if [ -z "$declared" ]; then
    echo "ref/moeref.h declares no function"
    failed=1
fi
if ! diff <(echo "$declared") <(echo "$exported"); then
    echo "declared (<) and exported (>) differ"
    failed=1
fi

needed=$(objdump -p "$so" | awk '$1 == "NEEDED" {print $2}')
echo "needs: $needed"
if echo "$needed" | grep -E 'mpi\.|open-|yaml|jansson|check'; then
    echo "libmoeref must not need these"
    failed=1
fi
exit $failed
