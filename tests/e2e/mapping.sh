#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kernels that take experts' numbers for others: what a run makes of it, on all
# ranks or on one, is what Python adds up of the experts' rows.
set -u
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml

expect 0 "$MOESIM" golden "$tiny" --method allgatherv --weights local \
    -o "$work/golden" -q
for mistake in global-ids-for-local expert-map-minus-one@1; do
    expect 1 "$MOESIM" run "$tiny" --inject "$mistake" -q \
        --method pad_allreduce,allgatherv,naive_multicast \
        -o "$work/$mistake"
    "$PYTHON" "$top_srcdir/tests/e2e/mapping_judge.py" "$work/golden" \
        "$work/$mistake" "$mistake" >"$work/judged" ||
        fail "$mistake: nothing was judged"
    n_pass=$((n_pass + $(grep -c '^pass' "$work/judged")))
    n_fail=$((n_fail + $(grep -c '^FAIL' "$work/judged")))
    grep '^FAIL' "$work/judged" || true
done

# rows that others sent have local numbers
expect 0 "$MOESIM" run "$tiny" --method alltoallv -o "$work/pairs" \
    --inject global-ids-for-local
grep -q 'warning: --inject global-ids-for-local had no effect' \
    "$work/stdout" && pass "told" || fail "no warning"
finish
