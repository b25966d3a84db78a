#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All C files are as clang-format 14 writes them. Without that version the
# test is skipped; with MOESIM_REQUIRE_FORMAT=1 it fails.
set -u
cd "${1:-${top_srcdir:-.}}" || exit 99

format=${CLANG_FORMAT:-$(command -v clang-format-14)}
if [ -z "$format" ]; then
    echo "clang-format-14 is not there"
    [ "${MOESIM_REQUIRE_FORMAT:-}" = 1 ] && exit 1
    exit 77
fi
find base moe ref gpu models reports sim tests -name '*.[ch]' -print0 |
    xargs -0 "$format" --dry-run -Werror --ferror-limit=1
