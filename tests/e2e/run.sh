#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# moesim run as a user runs it: reports, equality over ranks, refusals.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml

# the same global tokens on 1, 2, 3, 4, 7 and 8 ranks: the same bits
for ranks in 1 2 3 4 7 8; do
    expect 0 "$MOESIM" run "$tiny" --ranks "$ranks" --quiet -o "$work/r$ranks"
    report=$work/r$ranks/report.json
    holds "$report" "r['ranks'] == $ranks"
    holds "$report" "all(m['bit_identical_to_oracle'] and m['max_ulp'] == 0 and
        m['elements_compared'] == r['tokens_total'] * r['model']['hidden']
        for m in r['methods'])"
    ask "$report" "[m['output_digest'] for m in r['methods']]" >"$work/digest"
    cmp -s "$work/digest" "$work/first" 2>/dev/null ||
        { [ "$ranks" -eq 1 ] && cp "$work/digest" "$work/first"; } ||
        fail "other bits on $ranks ranks"
done

# files of a report, nothing half-written, nothing overwritten
[ -s "$work/r2/report.md" ] && pass report.md || fail "no report.md"
[ -s "$work/r2/ledger.jsonl" ] && pass ledger || fail "no ledger"
[ -z "$(ls -A "$work/r2" | grep -vE '^(report\.(json|md)|ledger\.jsonl)$')" ] &&
    pass "nothing else in the folder" || fail "$(ls -A "$work/r2")"
expect 2 "$MOESIM" run "$tiny" --ranks 2 --quiet -o "$work/r2"
expect 0 "$MOESIM" run "$tiny" --ranks 2 --quiet -o "$work/r2" --force

# --json -: JSON and nothing else on stdout
expect 0 "$MOESIM" run "$tiny" --ranks 2 --json - -o "$work/json"
"$PYTHON" -m json.tool <"$work/stdout" >/dev/null &&
    pass "stdout is JSON" || fail "stdout is not JSON"

# the last line names the report
expect 0 "$MOESIM" run "$tiny" --ranks 2 -o "$work/last"
[ "$(tail -n 1 "$work/stdout")" = "report: $work/last" ] &&
    pass "last line" || fail "$(tail -n 1 "$work/stdout")"

# no tokens at all, all but one rank empty, faithful, decode
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/none" \
    --set 'workload.tokens=[0,0,0,0]'
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/one" \
    --set 'workload.tokens=[0,9,0,0]'
holds "$work/one/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"
expect 0 "$MOESIM" run "$tiny" --ranks 4 --quiet -o "$work/decode" \
    --phase decode
holds "$work/decode/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"
expect 0 "$MOESIM" run "$tiny" --ranks 4 --quiet -o "$work/faithful" \
    --numerics faithful
holds "$work/faithful/report.json" \
    "all(0 < m['relative_l2'] < 0.01 for m in r['methods'])"

# a launcher's own rank count must be the layout's
expect 2 "$MPIRUN" -q -n 3 "$MOESIM" run "$tiny" --ranks 2 -o "$work/launch"
[ ! -e "$work/launch/report.json" ] && pass "no report" || fail "a report"
expect 0 "$MPIRUN" -q -n 3 "$MOESIM" run "$tiny" --ranks 3 --quiet \
    -o "$work/own"

# memory: refused before anything is allocated
expect 3 "$MOESIM" run "$tiny" --ranks 2 -o "$work/memory" --memory-limit 1M
says 'needs .* on 2 ranks, .* are allowed'
[ ! -e "$work/memory" ] && pass "no folder left" || fail "a folder is left"

# the GPU path is not there yet: said, not crashed
expect 2 "$MOESIM" run "$tiny" --backend gpu -o "$work/gpu"
finish
