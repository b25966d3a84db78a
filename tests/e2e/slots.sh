#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Combines that are quantised: the oracle's bits in exact and in faithful, on
# every number of ranks; an expert's quantised row is the same wherever the
# expert is, a rank's quantised sum is not. Limits of libraries are lifted by
# name alone, and slots are never too few.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml
one='{deepep_ll: {limits: off, combine: logfmt10}}'
sums='{trtllm_alltoall: {combine: fp8_tensor}},
    {trtllm_alltoall: {combine: fp8_tensor, combine_order: tree_storage}},
    {trtllm_alltoall: {sides: two_sided, combine: nvfp4}}'

for run in '1 exact' '4 exact' '4 faithful'; do
    report=$work/${run/ /-}
    expect 0 "$MOESIM" run "$tiny" --ranks "${run% *}" --quiet -o "$report" \
        --numerics "${run#* }" --set precision.gemm2_out=exact \
        --set "methods=[alltoallv,$one,$sums]"
    holds "$report/report.json" "len(r['methods']) == 5 and
        all(m['bit_identical_to_oracle'] for m in r['methods'])"
done
# alltoallv rounds nothing on the way; both orders of a sum are the same sum
for ranks in 1 4; do
    holds "$work/$ranks-exact/report.json" \
        "len({m['output_digest'] for m in r['methods']}) == 4"
done
for i in 0 1 2; do
    for ranks in 1 4; do
        ask "$work/$ranks-exact/report.json" "r['methods'][$i]['output_digest']"
    done | sort -u | wc -l
done >"$work/different"
[ "$(paste -sd' ' "$work/different")" = '1 1 2' ] &&
    pass "quantised rows are the same on all ranks, quantised sums are not" ||
    fail "digests by method: $(paste -sd' ' "$work/different")"

# what the library is compiled for, and slots that are too few
expect 2 "$MOESIM" run "$tiny" --set 'methods=[deepep_ll]' -o "$work/refused"
says 'deepep_ll cannot run here: its library takes hidden 2048, 2560'
expect 2 "$MOESIM" price "$tiny" --set 'methods=[deepep_ll]' \
    --set model.hidden=2048 --set 'workload.tokens=129' -o "$work/refused"
says 'deepep_ll cannot run here: DeepEP needs at most max_tokens tokens'
expect 0 "$MOESIM" price "$tiny" --quiet -o "$work/slots" \
    --set 'methods=[{deepep_ll: {max_tokens: 129}}]' \
    --set model.hidden=2048 --set 'workload.tokens=129'
expect 2 "$MOESIM" run "$tiny" -o "$work/refused" \
    --set 'methods=[{trtllm_alltoall: {combine: nvfp4}}]'
says 'one-sided sums go home as floats or fp8_tensor'

# bandwidths beside the published ones: rows without headers, those that stay
# among them, over the time of the stage that moves them; a row is 7492 or 7408
# bytes long in one node, of which 7392 count
while read -r name bytes tokens; do
    expect 0 "$MOESIM" price "$top_srcdir/scenarios/seeds/$name.yaml" --quiet \
        --set sweep="{layout.dp: [8], workload.tokens: [$tokens]}" \
        --json "$work/gbps.json"
    holds "$work/gbps.json" "[round(m['counted_bytes'][way] * $bytes * 8 / of, 9)
        for m in [r['sweep'][0]['methods'][0]]
        for n in [sum(m['by_stage']['permute']['payload_bytes'])]
        for way, of in (('dispatch', 7392 * n), ('combine', 14336 * n))] == [1, 1]"
    holds "$work/gbps.json" "[p['ours'] > 1 for p in r['published']
        if p['unit'] == 'GB/s' and p['at'] == '8 $tokens'] == [True, True]"
done <<<'deepep-readme 7492 4096
deepep-readme-ll 7408 128'
# the blog's GB/s: n min(R, k) rows, over the time that it prints beside them
expect 0 "$MOESIM" price "$top_srcdir/scenarios/seeds/trtllm-blog18.yaml" \
    --quiet --set 'sweep={layout.dp: [4, 8], workload.tokens: [2048]}' \
    --json "$work/gbps.json"
holds "$work/gbps.json" "[s['methods'][f]['counted_bytes'] for s in r['sweep']
    for f in (0, 2)] == [{'dispatch': 2048 * n * row, 'combine':
        2048 * n * 14336} for n in (4, 8) for row in (14336, 4032)]"
holds "$work/gbps.json" "[round(p['ours'] / (2048 * 8 * 14.336 / sum(
        r['sweep'][1]['methods'][0]['by_stage'][s]['predicted_us']
        for s in ways)), 9)
    for p, ways in zip([p for p in r['published'] if p['unit'] == 'GB/s'],
        (('prepare', 'permute'), ('unpermute', 'finalize')))] == [1, 1]"

# MegaBlocks' blocks of 128: the same bits and bytes sent; experts compute the
# rows that the report tells
blocks='methods=[alltoallv, {alltoallv: {expert_block: 128}}]'
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/blocks" --set "$blocks"
expect 0 "$MOESIM" price "$tiny" --quiet --set "$blocks" \
    --trace "$work/blocks.jsonl" --json "$work/blocks.json"
holds "$work/blocks/report.json" "len({(m['output_digest'],
    str(m['payload_bytes'])) for m in r['methods']}) == 1 and
    all(m['bit_identical_to_oracle'] for m in r['methods'])"
"$PYTHON" - "$work/blocks.jsonl" "$work/blocks.json" <<'EOF' &&
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
report = json.load(open(sys.argv[2]))["methods"][1]["padded_rows"]
matmuls = [r for r in lines if r.get("op") == "grouped_matmul"]
half = len(matmuls) // 2
for plain, padded in zip(matmuls[:half], matmuls[half:]):
    rows = plain["rows_per_expert"]
    blocks = sum(-(-n // 128) * 128 for n in rows)
    assert rows == padded["rows_per_expert"] and sum(rows) > 0
    assert report[plain["rank"]] == blocks - sum(rows)
    assert padded["flops"] * sum(rows) == plain["flops"] * blocks
assert half == 2 * len(report)
EOF
    pass "blocks of 128 are computed" || fail "blocks of 128 are not computed"
finish
