#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make check-full: the whole table of methods, executed.
exec bash "$top_srcdir/tests/e2e/table.sh" all
