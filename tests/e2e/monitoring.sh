#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An independent witness: Open MPI's monitoring component counts the bytes of
# collectives per pair of ranks; less those of the same run with no tokens they
# equal the report's pair_bytes less the counts that a plan exchanges (numerics:
# faithful), which are held to the ledger.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

scenario=$top_srcdir/scenarios/tutorial/first.yaml
ranks=4
# ragged, one rank without
tokens='[5,0,7,2]'

# run USE TOKENS OUT: one run under our own mpirun with monitoring on
run() {
    "$MPIRUN" -q -n "$ranks" --mca pml_monitoring_enable 2 \
        --mca pml_monitoring_enable_output 3 \
        --mca pml_monitoring_filename "$work/$3" \
        "$MOESIM" run "$scenario" \
        --ranks "$ranks" --set "workload.tokens=$2" --numerics faithful \
        --set "methods=[$1]" --no-verify-calls --quiet --force \
        -o "$work/out.$3" >"$work/log.$3" 2>&1 ||
        { cat "$work/log.$3"; fail "run of $1 with tokens $2"; }
}

find_uses "$scenario" "$ranks"
# each method's last use, with most tensors a row; in make check-full all
if [ -z "${MOESIM_FULL:-}" ]; then
    mapfile -t uses < <(printf '%s\n' "${uses[@]}" | tac | sort -t: -k1,1 -su)
fi
# methods that say so of themselves move nothing, which is no witness
silent=$("$MOESIM" list methods --json - | "$PYTHON" -c '
import json, sys
print("".join("{%s:" % m["name"] for m in json.load(sys.stdin)["items"]
              if m["collectives"] == "none"))')
for use in "${uses[@]}"; do
    case $silent in *"${use%%:*}:"*) continue ;; esac
    run "$use" "$tokens" full
    run "$use" '[0,0,0,0]' empty
    holds "$work/out.full/report.json" "r['methods'][0]['agree_s'] == 0"
    if "$PYTHON" "$top_srcdir/tests/e2e/pair_bytes.py" "$work" "$ranks" \
        "$work"; then
        pass "$use"
    else
        fail "$use"
    fi
    rm -rf "$work"/full* "$work"/empty* "$work"/out.*
done
finish
