#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What was installed works: the program, and libmoeref for another program.
set -eu
bindir=$1
libdir=$2
includedir=$3

test -f "$includedir/moeref.h"
test -e "$libdir/libmoeref.so"
"$bindir/moesim" list methods | grep -q .
