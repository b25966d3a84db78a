#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What was installed works: the program finds its data far from the source
# tree, and another program finds and uses libmoeref.
#
# installcheck.sh BINDIR LIBDIR INCLUDEDIR PKGCONFIGDIR DATADIR DOCDIR, each with
# DESTDIR in front; CC is the compiler.
set -eu
bindir=$1
libdir=$2
includedir=$3
pkgconfigdir=$4
datadir=$5
docdir=$6

# A sanitized program: leaks at exit of Open MPI are not ours.
here=$(cd "$(dirname "$0")" && pwd)
export ASAN_OPTIONS=fast_unwind_on_malloc=0
export LSAN_OPTIONS=suppressions=$here/lsan.supp:print_suppressions=0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

cat >use.c <<'END'
#include <moeref.h>
#include <string.h>

int main(void)
{
    return strcmp(moeref_version(), VERSION) != 0 ||
           moeref_from_e2m1(moeref_to_e2m1(3.25f)) != 3.0f;
}
END
version=$("$bindir/moesim" --version | sed 's/^moesim //')
# shellcheck disable=SC2086
${CC:-cc} ${INSTALLCHECK_CFLAGS:-} -DVERSION="\"$version\"" \
    -I"$includedir" use.c -o use -L"$libdir" -lmoeref
LD_LIBRARY_PATH=$libdir ./use
headers=("$includedir"/moeref*)
test "${headers[*]}" = "$includedir/moeref.h" # all in one

# The example that is installed judges a kernel of its own.
# shellcheck disable=SC2086
${CC:-cc} ${INSTALLCHECK_CFLAGS:-} -I"$includedir" \
    "$docdir/examples/judge_kernel.c" -o judge_kernel -L"$libdir" -lmoeref -lm
LD_LIBRARY_PATH=$libdir ./judge_kernel >judged
grep -q '^act_out: good' judged
grep -q '^act_out: wrong' judged

# The pkg-config file says the same, wherever DESTDIR is: the example's own first
# lines build it so.
export PKG_CONFIG_PATH=$pkgconfigdir
pc=${PKG_CONFIG:-pkg-config}
destdir=${libdir%"$("$pc" --variable=libdir moeref)"}
test "$destdir" != "$libdir" # the file's libdir is the one installed to
export PKG_CONFIG_SYSROOT_DIR=$destdir
test "$("$pc" --modversion moeref)" = "$version"
# shellcheck disable=SC2046,SC2086
${CC:-cc} ${INSTALLCHECK_CFLAGS:-} "$docdir/examples/judge_kernel.c" \
    -o by_pkg_config $("$pc" --cflags --libs moeref) -lm
LD_LIBRARY_PATH=$libdir ./by_pkg_config | cmp - judged
grep -q "^Version: $version\$" "$pkgconfigdir/moeref.pc"
grep -q '^Libs: .*-lmoeref' "$pkgconfigdir/moeref.pc"

test -f "$datadir/scenarios/seeds/sglang-7667.yaml"
"$bindir/moesim" list methods | grep -qx allgatherv
MOESIM_PATH=$datadir "$bindir/moesim" price --model deepseek-r1 \
    --machine dgx-b200 --ep 8 --tokens 8 --method all | grep -q allgatherv
MOESIM_PATH=$datadir "$bindir/moesim" run \
    "$datadir/scenarios/tutorial/first.yaml" --quiet -o out
test -s out/report.json
echo "installcheck: the program, its data and libmoeref work"
