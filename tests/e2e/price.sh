#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# moesim price as a user runs it: numbers of the seeds, sweeps, files.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
judge=$top_builddir/tests/report_judge
cd "$work"
done="[m for m in r['methods'] if 'refused' not in m]"
price="$MOESIM price --model deepseek-r1 --machine dgx-b200 --ep 8"

# bytes of SGLang #7667 at 8 ranks and 1024 tokens a rank, ring algorithms
expect 0 $price --tokens 1024 --method all --json all.json
expect 0 "$judge" all.json
for row in allgatherv:nvfp4:4096 allgatherv:fp8_1x128:7456 \
    allgatherv:bf16:14400 pad_allreduce:bf16:14336; do
    IFS=: read -r name format bytes <<<"$row"
    holds all.json "[m['dispatch_bytes_per_token'] for m in r['methods']
        if m['name'] == '$name' and m['options'].get('dispatch') == '$format'] ==
        [$bytes]"
done
sent="lambda m, s: set(m['by_stage'][s]['wire_sent_bytes'])"
holds all.json "[($sent)(m, s) for m in r['methods']
    if m['name'] == 'pad_allreduce' for s in ('prepare', 'finalize')] ==
    [{205520896}, {205520896}]"
holds all.json "[($sent)(m, s) for m in r['methods']
    if m['options'].get('dispatch') == 'nvfp4' and m['name'] == 'allgatherv'
    for s in ('prepare', 'finalize')] == [{29360128}, {102760448}]"
expect 0 $price --tokens 1024 --method pad_allreduce --phase decode --json d.json
holds d.json "[($sent)(r['methods'][0], s) for s in ('prepare', 'finalize')] ==
    [{102760448}, {205520896}]"

# few tokens: the median of several drawn routings, their spread inside; with
# slots for all that may come, one routing costs what another does
few="$price --tokens 1 --method all --quiet --json"
for seed in 1 2 3; do
    expect 0 $few few$seed.json --seed $seed
    holds few$seed.json "r['routing']['draws'] == 9 and all(
        sorted(m['draws_us'])[4] == m['predicted_us'] and
        m['low_us'] <= min(m['draws_us']) and m['high_us'] >= max(m['draws_us'])
        and (len(set(m['draws_us'])) > 1 or m['name'] == 'capacity_alltoall')
        for m in r['methods'] if 'refused' not in m)"
    holds few$seed.json "all(
        m['low_us'] <= n['predicted_us'] <= m['high_us']
        for o in [json.load(open('few1.json'))]
        for m, n in zip(o['methods'], r['methods']) if 'refused' not in m)"
done
expect 0 $few again1.json --seed 1
holds again1.json "[m.get('draws_us') for m in r['methods']] ==
    [m.get('draws_us') for m in json.load(open('few1.json'))['methods']]"

# weights that do not fit: 256 experts x 3 matrices of 7168 x 2048 in 9/16 B
expect 0 "$MOESIM" price --model deepseek-r1 --machine dgx-b200 --ep 1 \
    --tokens 8 --method all --json fits.json
layer=$((256 * 3 * 7168 * 2048 * 9 / 16))
holds fits.json "[w for w in r['warnings'] if 'does not fit' in w
    and '%.0f GiB in its 58 MoE layers' % (58 * $layer / 2**30) in w] != []"
holds all.json "not [w for w in r['warnings'] if 'not fit' in w]"
expect 0 "$MOESIM" price --model deepseek-r1 --machine dgx-h100 --ep 8 \
    --tokens 8 --json h100.json
holds h100.json "any('decoded in the kernel' in w for w in r['warnings'])"

# what a reader may rely on
holds all.json "all(m['low_us'] <= m['predicted_us'] <= m['high_us']
    for m in $done)"
holds all.json "all(abs(sum(m['parts'].values()) - m['predicted_us']) <
    1e-6 * m['predicted_us'] for m in $done)"
holds all.json "all(sum(p[i][i] for i in range(8)) == 0
    for m in $done for p in [m['pair_bytes']])"
holds all.json "all([sum(s[k][i] for s in m['by_stage'].values())
    for i in range(8)] == m[k] for m in $done
    for k in ('payload_bytes', 'wire_sent_bytes', 'carried_bytes'))"
holds all.json "any('sampled' in w for w in r['warnings'])"
holds all.json "all(c['source'] and c['kind'] for m in $done
    for c in m['constants'])"
holds all.json "len(r['methods']) >= 4 and r['backend'] == 'meta'"

# a comma list is a sweep; one table; the fastest is marked at each point
expect 0 $price --tokens 1,128,4096 --method all --json sweep.json
expect 0 "$judge" sweep.json
holds sweep.json "[p['set']['workload.tokens'] for p in r['sweep']] ==
    ['1', '128', '4096'] and r['tokens_total'] == 8"
expect 0 $price --tokens 1,128,4096 --method all
[ "$(grep -c '\* ' stdout)" -eq 3 ] && pass "marks" || fail "marks: $(cat stdout)"
[ "$(grep -c '^ *[0-9].*pad_allreduce' stdout)" -eq 3 ] && pass rows || fail rows
if grep -q $'\033' stdout; then fail "colour in a pipe"; else pass "no colour"; fi
# a base point that is no point of the sweep comes first, and is the heading's
expect 0 "$MOESIM" price "$top_srcdir/scenarios/seeds/sglang-7667.yaml"
[ "$(grep -c '^ *base  ' stdout)" -eq 2 ] && pass base || fail "$(cat stdout)"
head -n 1 stdout | grep -q '512 tokens at the base point' && pass heading || fail heading
# nothing is fast without tokens, nor faster where intervals overlap
expect 0 $price --tokens 0 --method all
if grep -q 'fastest\|\* ' stdout; then fail "fast: $(cat stdout)"; else pass "no tokens"; fi
expect 0 $price --tokens 1 --method all
grep -q 'not told apart from' stdout && pass overlap || fail "$(cat stdout)"
if grep -q 'fastest' stdout; then fail fastest; else pass "no fastest"; fi
expect 0 "$MOESIM" price --model deepseek-r1 --machine dgx-b200 --ep 1 --tokens 1
head -n 1 stdout | grep -q ' 1 rank (.* 1 token,' && pass one || fail "$(cat stdout)"
expect 0 $price --tokens 8 --color always
if grep -q $'\033' stdout; then pass "colour"; else fail "no colour"; fi

# the scenario's own sweep, and an option that wins over it
seed=$top_srcdir/scenarios/seeds/sglang-7667.yaml
expect 0 "$MOESIM" price "$seed" --json seed.json
expect 0 "$judge" seed.json
holds seed.json "len(r['sweep']) == 5 and r['scenario']['name'] == 'sglang-7667'"
holds seed.json "len(r['published']) > 0 and len(r['scenario']['digest']) == 64"
expect 0 "$MOESIM" price "$seed" --set workload.tokens=16 --json one.json
holds one.json "'sweep' not in r and r['tokens'] == [16] * 8"

# Processor time of what this script ran, in ms, in $spent: a busy machine
# adds nothing. A subshell would tell of its own children.
count_spent() {
    times >times.txt
    spent=$(awk -F '[ ms]+' \
        'NR == 2 {printf "%d", 60000 * ($1 + $3) + 1000 * ($2 + $4)}' times.txt)
}

# quick LIMIT WHAT...: a price of a second is one; sanitizers are slow
quick() {
    local limit=$1
    shift
    [ -z "${ASAN_OPTIONS:-}" ] || limit=60000
    count_spent
    start=$spent
    expect 0 "$@"
    count_spent
    took=$((spent - start))
    [ "$took" -lt "$limit" ] && pass "$took ms" || fail "took $took ms: $*"
}

range=1,16,128,1024,16384
quick 1000 "$MOESIM" price "$top_srcdir/scenarios/seeds/sglang-7667.yaml" \
    --tokens $range --quiet
quick 5000 $price --tokens $range --method all --quiet

# what `exact` puts off costs nothing: prices are the system's own
for numerics in exact faithful; do
    expect 0 $price --tokens 16 --method all --numerics $numerics --quiet \
        --json $numerics.json
    ask $numerics.json "{m['label']: round(m['predicted_us'], 6)
        for m in r['methods'] if not m.get('refused')}" >$numerics.us
done
"$PYTHON" - exact.us faithful.us <<'P' && pass "one price" || fail "two prices"
import ast
import sys
exact, faithful = (ast.literal_eval(open(p).read()) for p in sys.argv[1:])
both = exact.keys() & faithful.keys()
assert len(both) > 10, both
assert all(exact[k] == faithful[k] for k in both), [
    (k, exact[k], faithful[k]) for k in both if exact[k] != faithful[k]]
P

# what does not fit is refused before it is begun
expect 3 $price --tokens 100000 --memory-limit 1M
says 'pricing needs about'
expect 3 $price --tokens 1073741824
says 'pricing needs about'

# many ranks: lists of ranks, no lists of pairs
expect 0 "$MOESIM" price --model deepseek-r1 --machine gb200-nvl72 --ep 320 \
    --tokens 4 --method allgatherv --json many.json
expect 0 "$judge" many.json
holds many.json "len(r['methods'][0]['payload_bytes']) == 320 and
    'pair_bytes' not in r['methods'][0]"

# methods that cannot run are listed with their reason
expect 2 $price --dp 4 --tp 2 --tokens 4 --method allgatherv
says 'ep = dp'

# what is printed can be read again, and means the same
expect 0 $price --tokens 64 --method allgatherv --dispatch nvfp4 --print-scenario
cp stdout again.yaml
expect 0 "$MOESIM" price again.yaml --json again.json
expect 0 $price --tokens 64 --method allgatherv --dispatch nvfp4 --json first.json
[ "$(ask again.json "r['scenario']['digest']")" = \
    "$(ask first.json "r['scenario']['digest']")" ] && pass digest || fail digest

# folders: written whole, never over another report
expect 0 $price --tokens 8 -o out
[ "$(tail -n 1 stdout)" = "report: out" ] && pass "last line" || fail "last line"
expect 0 "$judge" out/report.json
grep -q '^| method' out/report.md && pass report.md || fail report.md
expect 2 $price --tokens 8 -o out
says "another run's report"
expect 0 $price --tokens 8 -o out --force
[ "$(ls -A out | tr '\n' ' ')" = "report.json report.md " ] && pass files || fail files

# a trace: every method's, its payload that of the report, by rank and stage
expect 0 $price --tokens 8,16 --method all --trace traced/t.jsonl -o traced
"$PYTHON" - traced/t.jsonl traced/report.json <<'END' && pass trace || fail trace
import collections, json, sys
head, *lines = map(json.loads, open(sys.argv[1]))
assert head == {"format": "moesim-trace", "version": 1}, head
got = collections.Counter()
for line in lines:
    if "call" in line:
        got[line["method"], line["stage"], line["rank"]] += line["payload"]
want = collections.Counter()
labels = []
for m in json.load(open(sys.argv[2]))["methods"]:
    if "refused" in m:
        continue
    labels.append(m["label"])
    for stage, s in m["by_stage"].items():
        for rank, b in enumerate(s["payload_bytes"]):
            want[m["label"], stage, rank] += b
assert +got == +want and sum(got.values()) > 0, (got - want, want - got)
assert list(dict.fromkeys(l["method"] for l in lines)) == labels
END
# a matmul goes at the rate of the wider of rows and weights
for wide in "fp32 bf16" "bf16 fp32"; do
    expect 0 $price --tokens 8 --method allgatherv --trace wide.jsonl \
        -o traced/wide --force --set precision.expert_in=${wide% *} \
        --set precision.gemm2_in=${wide% *} --set precision.weights=${wide#* }
    "$PYTHON" -c 'import json, sys
lines = map(json.loads, open(sys.argv[1]))
rates = {x["operand"] for x in lines if x.get("op") == "grouped_matmul"}
sys.exit(rates != {"fp32"})' wide.jsonl && pass "rate of $wide" ||
        fail "rate of $wide"
    rm wide.jsonl
done
expect 2 $price --tokens 8 --trace -
says '--trace -: expected a file'
expect 3 $price --tokens 8 --trace nowhere/t.jsonl
says nowhere/t.jsonl
expect 3 $price --tokens 8 --trace /dev/full
says '/dev/full: No space left'
# ended by a signal while it is written: nothing is left
"$MOESIM" price --model deepseek-r1 --machine gb200-nvl72 --ep 320 --tokens 64 \
    --method all --quiet --trace ended.jsonl >/dev/null 2>&1 &
for _ in $(seq 200); do
    if ls ended.jsonl.tmp* >/dev/null 2>&1; then break; fi
    sleep 0.05
done
kill -TERM $!
got=0
wait $! || got=$?
[ "$got" -eq 143 ] && pass ended || fail "ended with $got"
[ -z "$(find . -name '*.jsonl*' ! -path ./traced/t.jsonl)" ] && pass whole || fail half

# ranks without an expert are counted in words
for idle in "17:1 of each 17 ranks holds none" "18:2 of each 18 ranks hold none"
do
    expect 0 "$MOESIM" price "$top_srcdir/scenarios/tutorial/first.yaml" \
        --set "layout={dp: ${idle%%:*}, ep: ${idle%%:*}}" --json idle.json \
        --set workload.tokens=2 --method allgatherv
    holds idle.json "any(w.endswith('${idle#*:}') for w in r['warnings'])"
done

# where no method can run each one's reason is told
expect 2 "$MOESIM" price --model mixtral-8x7b --machine dgx-h100 --tp 4 --ep 1 \
    --tokens 16 --method all \
    --set 'precision={expert_in: bf16, weights: bf16, gemm2_in: bf16}'
says '^methods: no method can run here: pad_allreduce-bf16: needs ep = dp'
says '^methods: no method can run here: tp_allreduce'
says '^methods: no method can run here: fused_mc2-int8_token: needs ep = dp x tp'

# --strict: a sampled routing is a warning, and a warning is an error
expect 2 $price --tokens 8 --strict
expect 0 $price --tokens 8 --strict --set 'workload.router={sample: zipf, s: 1.1}'
finish
