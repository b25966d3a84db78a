#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python package as pip builds and installs it, over the libmoeref of this
# build: what doc/kernel-quickstart.md tells to do, and the package's tests.
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
mkdir -p "$work/tree/models" "$work/tree/data"
cp -r "$top_srcdir/python" "$work/tree/" &&
    cp -r "$top_srcdir/models/moe" "$work/tree/models/" &&
    cp "$top_srcdir/data/rcp_sm90.table.xz" "$work/tree/data/" &&
    chmod -R u+w "$work/tree" || exit 1
ln -s "$(cd "$top_builddir" && pwd)" "$work/tree/build"
page=$(cd "$top_srcdir" && pwd)/doc/kernel-quickstart.md

# the page's "python3 -m pip install ./python", without a network and into a
# folder that goes away
mkdir "$work/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$(command -v "$python")" \
    >"$work/bin/python3"
chmod +x "$work/bin/python3"
export PATH=$work/bin:$PATH
export PIP_TARGET=$work/site PIP_QUIET=1 PIP_NO_DEPS=1 PIP_NO_INDEX=1
export PIP_NO_BUILD_ISOLATION=0 # which turns it off
export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
export PYTEST_ADDOPTS='-p no:cacheprovider'
cd "$work/tree" || exit 1
python3 "$(dirname "$page")/../tests/tools/run_page.py" "$page" || exit 1
cd "$work" && python3 -m pytest -q -n 2 "$work/tree/python/tests"
