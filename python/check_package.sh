#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python package as pip builds and installs it, and its tests, over the
# libmoeref of this build.
set -u
: "${top_srcdir:?}" "${top_builddir:?}"
python=${PYTHON:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/moesim-python.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

skip() {
    echo "skipped: $*"
    exit 77
}

so=$top_builddir/.libs/libmoeref.so
[ -e "$so" ] || skip "no shared libmoeref in this build"
objdump -p "$so" | grep -q 'NEEDED.*lib[au]*san' &&
    skip "sanitizers in libmoeref: tested in a build without"
if ! "$python" -c 'import setuptools, numpy, pip, pytest, wheel, xdist, yaml'; then
    [ "${MOESIM_REQUIRE_DATA:-0}" = 1 ] && exit 1
    skip "pip install numpy pytest pytest-xdist setuptools wheel PyYAML"
fi

# pip writes where it builds; the source tree may be read-only
mkdir -p "$work/tree/models"
cp -r "$top_srcdir/python" "$work/tree/" &&
    cp -r "$top_srcdir/models/moe" "$work/tree/models/" &&
    chmod -R u+w "$work/tree" || exit 1
if ! MOESIM_BUILD=$(cd "$top_builddir" && pwd) "$python" -m pip install -q \
    --no-build-isolation --no-deps --no-index --target "$work/site" \
    "$work/tree/python" >"$work/pip.log" 2>&1; then
    cat "$work/pip.log"
    echo "FAIL: pip install"
    exit 1
fi
cd "$work" &&
    PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH} "$python" -m pytest -q \
        -p no:cacheprovider -n 2 \
        "$work/tree/python/tests"
