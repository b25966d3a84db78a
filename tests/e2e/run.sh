#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# moesim run as a user runs it: reports, equality over ranks, refusals.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml

# every method with every choice of its options, the same global tokens on 1,
# 2, 7 and 8 ranks, in check-full 3 and 4 too: the oracle's bits, and the same
for ranks in $(some "1 2 7 8" "1 2 3 4 7 8"); do
    find_uses "$tiny" "$ranks"
    [ "$ranks" != 7 ] || seven=("${uses[@]}")
    methods="methods=[$(IFS=,; echo "${uses[*]}")]"
    expect 0 "$MOESIM" run "$tiny" --ranks "$ranks" --quiet \
        --set "$methods" -o "$work/r$ranks"
    report=$work/r$ranks/report.json
    holds "$report" "r['ranks'] == $ranks and len(r['methods']) == ${#uses[@]}"
    holds "$report" "all(m['bit_identical_to_oracle'] and m['max_ulp'] == 0 and
        m['elements_compared'] == r['tokens_total'] * r['model']['hidden']
        for m in r['methods'])"
    ask "$report" "'\n'.join(m['label'] + ' ' + m['output_digest']
        for m in r['methods'])" >>"$work/digests"
    # hidden is bf16 and expert_in nvfp4: sent as either, the codes are equal;
    # weights on the activation are a class of their own
    for class in "!=" "=="; do
        holds "$report" "len({m['output_digest'] for m in r['methods']
            if m['options'].get('dispatch') in ('bf16', 'nvfp4') and
            m['contract']['weigh'] $class 'activation'}) == 1"
    done
done
# the other counts up to 8: every method once, the same tokens, the same bits
for ranks in $(some "3 5" "3 4 5 6"); do
    methods=$(printf '%s\n' "${seven[@]}" | sort -u -t: -k1,1 | paste -sd,)
    expect 0 "$MOESIM" run "$tiny" --ranks "$ranks" --quiet \
        --set "methods=[$methods]" -o "$work/n$ranks"
    holds "$work/n$ranks/report.json" "r['ranks'] == $ranks and
        len(r['methods']) >= 5 and
        all(m['bit_identical_to_oracle'] for m in r['methods'])"
    ask "$work/n$ranks/report.json" "'\n'.join(m['label'] + ' ' +
        m['output_digest'] for m in r['methods'])" >>"$work/digests"
done
changed=$(sort -u "$work/digests" | cut -d' ' -f1 | uniq -d)
[ -z "$changed" ] && pass "the same bits on 1 to 8 ranks" ||
    fail "other bits on other ranks: $changed"

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

# no tokens at all, all but one rank empty, faithful, decode: every method
find_uses "$tiny" 4
methods="methods=[$(IFS=,; echo "${uses[*]}")]"
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/none" \
    --set "$methods" --set 'workload.tokens=[0,0,0,0]'
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/one" \
    --set "$methods" --set 'workload.tokens=[0,9,0,0]'
holds "$work/one/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"
expect 0 "$MOESIM" run "$tiny" --ranks 4 --quiet -o "$work/decode" \
    --set "$methods" --phase decode
holds "$work/decode/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"
expect 0 "$MOESIM" run "$tiny" --ranks 4 --quiet -o "$work/faithful" \
    --set "$methods" --numerics faithful
# given a method's order the oracle has its bits; exact, without the order's
# roundings, is near and another
holds "$work/faithful/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"
holds "$work/faithful/report.json" \
    "all(m['to_exact']['relative_l2'] < 0.01 for m in r['methods']) and
    sum(m['to_exact']['relative_l2'] > 0 and m['to_exact']['max_ulp'] > 0 and
        m['to_exact']['elements_differing'] > 0 for m in r['methods']) >= 2"
holds "$work/decode/report.json" \
    "all(m['to_exact'] is None for m in r['methods'])"

# every order of the sums in faithful: the oracle follows; orders differ
"$MOESIM" list methods --json - >"$work/methods.json"
orders=$("$PYTHON" -c '
import json, sys
for m in json.load(open(sys.argv[1]))["items"]:
    for o in m["options"]:
        if o["key"].endswith("_order"):
            for word in o["choices"].split():
                print("{%s: {%s: %s}}" % (m["name"], o["key"], word))
' "$work/methods.json" | paste -sd, -)
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/orders" \
    --numerics faithful --set "methods=[$orders]" --set model.topk=8 \
    --set model.intermediate=256
holds "$work/orders/report.json" "len(r['methods']) >= 8 and
    all(m['bit_identical_to_oracle'] for m in r['methods'])"
holds "$work/orders/report.json" \
    "len({m['output_digest'] for m in r['methods']}) >= 4"

# carried unrounded: all methods give the same bits, each in its own layout
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/unrounded" \
    --set "methods=[pad_allreduce,allgatherv,tp_allreduce,
        {ascend_allgather: {layout: {dp: 1, tp: 4, ep: 4}}}]" \
    --set precision.gemm2_out=exact --set precision.gemm1_out=exact \
    --set model.intermediate=256
holds "$work/unrounded/report.json" \
    "len({m['output_digest'] for m in r['methods']}) == 1 and
    all(m['bit_identical_to_oracle'] for m in r['methods'])"

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
