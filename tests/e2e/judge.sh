# SPDX-License-Identifier: Apache-2.0
# moesim check: what it finds in tensors with one mistake, and what it lets
# pass; exit status, words, JSON, JUnit.
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

golden=$work/golden
spoil="$PYTHON $top_srcdir/tests/e2e/spoil.py"

make_golden() { # DIR DP TOKENS [MORE]
    cat >"$1.yaml" <<END
moesim: 1
name: judged
model: {name: small, source: "test", hidden: 512, intermediate: 256, experts: 16, topk: 4, score: sigmoid, bias: true, n_group: 4, topk_group: 2, renormalize: true, routed_scaling: 2.5, layers: 1, moe_layers: 1}
layout: {dp: $2, tp: 1, ep: $2}
workload: {phase: prefill, ${4:-}tokens: $3}
precision: {expert_in: nvfp4, weights: nvfp4, gemm2_in: nvfp4}
methods: [{allgatherv: {dispatch: nvfp4}}]
seed: 5
END
    "$MOESIM" golden -q "$1.yaml" -o "$1" || fail "golden $1"
}

# judge STATUS CHANGE...: of rank 0's file, spoiled
judge() {
    local want=$1
    shift
    $spoil "$golden/rank-0000.safetensors" "$work/got.safetensors" "$@" ||
        fail "spoil $*"
    expect "$want" "$MOESIM" check "$golden" "$work/got.safetensors" \
        --only-rank 0 --json "$work/check.json"
    echo "      of: $*"
}

# bad TENSOR EXPRESSION: the finding f of a tensor is bad, and so
bad() {
    holds "$work/check.json" \
        "[f for f in r['findings'] if f['tensor'] == '$1' and f['verdict'] == 'bad' and ($2)]"
}

make_golden "$golden" 2 "[24, 9]"
make_golden "$work/one" 1 12

expect 0 "$MOESIM" check "$golden" "$golden" --json "$work/check.json"
holds "$work/check.json" "r['status'] == 'good' and len(r['findings']) == 24"
holds "$work/check.json" "all(f['max_ulp'] <= 4 for f in r['findings'] if 'max_ulp' in f)"
expect 0 "$MOESIM" check "$work/one" "$work/one/rank-0000.safetensors"

judge 0 swap-columns keep:topk_ids,topk_weights,output
judge 0 shuffle
judge 0 pad
judge 0 keep:output
judge 0 keep:gemm2_out
judge 1 flip:dispatch
bad dispatch "f['differ'] == 1 and f['one_step'] <= 1 and 'token' in f['worst']"
holds "$work/check.json" "not r['diagnosis'][0]['named']"
judge 1 nibbles:dispatch
holds "$work/check.json" "r['diagnosis'][0]['names'] == ['nibbles-swapped']"
holds "$work/check.json" "r['diagnosis'][0]['named'] and r['diagnosis'][0]['tensor'] == 'dispatch'"
"$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    >"$work/words" 2>&1
sed -n 2p "$work/words" | grep -q "^diagnosis, rank 0: nibbles-swapped: " ||
    fail "no diagnosis in line 2"
pass "diagnosis in line 2"
judge 1 shift:output keep:output
holds "$work/check.json" "r['diagnosis'][0]['names'] == ['rows-permuted']"
judge 1 scale:expert_in
bad expert_in "f['scales_differ'] == 1 and f['scales_more_steps'] == 0 and f['differ'] == 0 and 0 < f['rescaled'] <= 16"
judge 1 nan:gemm1_out
bad gemm1_out "f['nans'] == 1 and f['worst']['got'] == 'NaN'"
holds "$work/check.json" "': 1 at fault' in r['diagnosis'][0]['text']"
# rounded numbers are as right in a wider type, with all stages or alone
for name in gemm1_out gemm2_out combine output; do
    judge 0 widen:$name
    judge 0 widen:$name keep:$name
done
# one number that was not rounded is what is wrong, by however little
judge 1 widen:gemm2_out bits:gemm2_out:6:4000
bad gemm2_out "f['beyond_likely'] == 1 and f['worst']['column'] == 3"
holds "$work/check.json" "not r['diagnosis'][0]['named'] and 'gemm2_out: 1 at fault' in r['diagnosis'][0]['text']"
judge 1 zero-row:gemm2_out:3
bad gemm2_out "f['worst']['row'] == 3 and f['beyond_hard'] > 0"
judge 1 shift:output
bad output "f['rows_beyond'] > 0"
judge 1 shift:output keep:output
bad output "f['rows_beyond'] > 0 and f['worst']['token'] >= 0"
judge 1 other-expert keep:topk_ids
bad topk_ids "f['worst']['token'] == 0"
# ids that no expert has are faults of the router, not of the file
for id in 999 -1; do
    judge 1 "id:5:$id"
    bad topk_ids "f['worst']['token'] == 5 and f['worst']['got'] == $id"
    grep -q "^topk_ids: token 5, .*got $id" "$work/stdout" &&
        pass "says where" || fail "$(cat "$work/stdout")"
done
judge 1 i64 id:5:99999999999 keep:topk_ids,output
# a number, and the file's own: not the nearest of 32 bits
bad topk_ids "f['worst']['token'] == 5 and f['worst']['got'] == 99999999999"
grep -q "^topk_ids: token 5, .*got 99999999999, want [0-9]*$" "$work/stdout" &&
    pass "an id beyond 32 bits" || fail "$(cat "$work/stdout")"
holds "$work/check.json" "not any(d['named'] for d in r['diagnosis'])"
# a tensor of another number of rows is known by its header; of one with
# padding only what valid_rows says is read
for keep in topk_ids,gemm1_out topk_ids,gemm1_out,valid_rows; do
    $spoil "$golden/rank-0000.safetensors" "$work/huge.safetensors" \
        huge:gemm1_out keep:$keep
    expect 1 bash -c 'ulimit -v 2000000; exec timeout 20 "$@"' _ \
        "$MOESIM" check "$golden" "$work/huge.safetensors" --only-rank 0 \
        --json "$work/$keep.json"
    rm "$work/huge.safetensors"
done
holds "$work/topk_ids,gemm1_out.json" \
    "[f['kind'] for f in r['findings'] if f['verdict'] == 'bad'] == ['number of rows']"
holds "$work/topk_ids,gemm1_out,valid_rows.json" \
    "[f['elements'] for f in r['findings'] if f['verdict'] == 'bad'] == [69 * 512]"
judge 1 drop-row
bad rows "f['kind'] == 'row missing'"

$spoil "$golden/rank-0000.safetensors" "$work/got.safetensors" shuffle
expect 1 "$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    --order exact --accumulator fp32
again="again: moesim check '.*' '.*' --order exact --accumulator fp32 --only-rank 0"
grep -q "$again" "$work/stdout" && pass "again as it was" ||
    fail "$(cat "$work/stdout")"
# rows may move among those of an expert, or anywhere
expect 1 "$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    --order within-expert --json "$work/check.json"
bad rows "f['kind'] == 'order of rows'"
expect 0 "$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    --order any
$spoil "$golden/rank-0000.safetensors" "$work/got.safetensors" turn-experts
expect 0 "$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    --order within-expert
expect 1 "$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    --order exact
$spoil "$golden/rank-0000.safetensors" "$work/got.safetensors" \
    zero-row:output:2 nan:combine
expect 1 "$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0 \
    --junit "$work/junit.xml"
if [ "$(wc -l <"$work/stdout")" -le 30 ] &&
    grep -q "again: moesim check .* --only-rank 0" "$work/stdout" &&
    grep -q "token .*, rank 0" "$work/stdout"; then
    pass "30 lines, the place, and the command again"
else
    fail "terminal output"
    cat "$work/stdout"
fi
expect 0 "$PYTHON" -c "
import sys, xml.etree.ElementTree as t
s = t.parse('$work/junit.xml').getroot()[0]
sys.exit(s.get('failures') != '2' or len(s.findall('testcase/failure')) != 2)"

# A router that is data: nothing is near a tie, ids and weights are REF's
told=$work/told
make_golden "$told" 2 "[24, 9]" 'router: {sample: uniform}, '
golden_of_data=$golden
golden=$told
judge 0 keep:topk_ids,topk_weights,output
judge 0 swap-columns
judge 0 keep:topk_weights
judge 0 keep:output
judge 1 zero:topk_weights zero:output keep:topk_ids,topk_weights,output
bad topk_weights "f['kind'] == 'not as told' and f['what'].startswith('96 of 96 weights are not REF') and 'token 0, slot 0' in f['what']"
holds "$work/check.json" "[f['tensor'] for f in r['findings'] if f['verdict'] == 'bad'] == ['topk_weights']"
judge 1 zero:topk_weights keep:topk_weights
bad topk_weights "f['kind'] == 'not as told'"
judge 1 flip:topk_weights:4 keep:topk_ids,topk_weights
bad topk_weights "f['what'].startswith('1 of 96 weights') and 'token 0, slot 1' in f['what']"
judge 1 other-expert keep:topk_ids,topk_weights
bad topk_ids "f['kind'] == 'not as told' and f['what'].startswith('1 of 96 ids')"
judge 1 i64 id:5:99999999999 keep:topk_ids
bad topk_ids "f['kind'] == 'unknown expert' and 'token 5, slot 0: 99999999999 of 16' in f['what']"
golden=$golden_of_data

# With all ranks' gemm2_out an output is judged from these, wherever they lie:
# a rounding is seen that the output alone hides, and what is wrong before it is
# no fault of the sum
ranks=$work/ranks
mkdir "$ranks"
spoil_ranks() { # "CHANGE..." of both, then of rank 0's file
    local change=$1
    shift
    for r in 0 1; do
        $spoil "$golden/rank-000$r.safetensors" \
            "$ranks/rank-000$r.safetensors" $change || fail "spoil $change"
    done
    $spoil "$ranks/rank-0000.safetensors" "$work/got.safetensors" "$@" &&
        mv "$work/got.safetensors" "$ranks/rank-0000.safetensors"
}
spoil_ranks shuffle shuffle
expect 0 "$MOESIM" check "$golden" "$ranks"
one_ulp=$("$PYTHON" - "$golden" "$top_srcdir/tests/e2e" <<'END'
import sys
sys.path.insert(0, sys.argv[2])
import tensors as T
code, = T.values(T.read(sys.argv[1] + "/rank-0000.safetensors")["output"])[7:8]
print("%04x" % (code + 1))
END
)
spoil_ranks shuffle "bits:output:7:$one_ulp"
expect 1 "$MOESIM" check "$golden" "$ranks" --json "$work/check.json"
holds "$work/check.json" \
    "[(f['tensor'], f['rank']) for f in r['findings'] if f['verdict'] == 'bad'] == [('output', 0)]"
# which takes all their files to see again
holds "$work/check.json" \
    "all(('only-rank' in f['again']) != f.get('gathered', False) for f in r['findings'])"
# in whatever float types the ranks have them
spoil_ranks shuffle widen:gemm2_out "bits:output:7:$one_ulp"
expect 1 "$MOESIM" check "$golden" "$ranks"
# of one rank alone the other's rows are not judged: nor is its output by these
expect 0 "$MOESIM" check "$golden" "$ranks" --only-rank 0
expect 0 "$MOESIM" check "$golden" "$ranks/rank-0000.safetensors" --only-rank 0
head -c 300 "$golden/rank-0001.safetensors" >"$ranks/rank-0001.safetensors"
expect 0 "$MOESIM" check "$golden" "$ranks" --only-rank 0
# what rows of experts explain is told of these, and of no output
spoil_ranks keep:gemm2_out,output zero-row:gemm2_out:3
expect 1 "$MOESIM" check "$golden" "$ranks" --json "$work/check.json"
holds "$work/check.json" \
    "{f['tensor'] for f in r['findings'] if f['verdict'] == 'bad'} == {'gemm2_out', 'output'}"
holds "$work/check.json" \
    "[(d['tensor'], d['rank'], d['named']) for d in r['diagnosis']] == [('gemm2_out', 0, False)]"
spoil_ranks "keep:gemm2_out,output shift:gemm2_out drop:slot drop:expert"
expect 1 "$MOESIM" check "$golden" "$ranks" --json "$work/check.json"
holds "$work/check.json" \
    "[(d['tensor'], d['names']) for d in r['diagnosis']] == [('gemm2_out', ['rows-permuted'])] * 2"
# experts that two groups of ranks have: each sums its own
"$MOESIM" golden -q "$work/one.yaml" -o "$work/twice" \
    --set 'layout={dp: 1, tp: 4, ep: 2}' --set 'methods=[tp_allreduce]' ||
    fail "golden of two groups"
cp -r "$work/twice" "$work/twice-got"
$spoil "$work/twice/rank-0000.safetensors" \
    "$work/twice-got/rank-0000.safetensors" zero-row:gemm2_out:3
expect 1 "$MOESIM" check "$work/twice" "$work/twice-got" \
    --json "$work/check.json"
holds "$work/check.json" \
    "{f['rank'] for f in r['findings'] if f['verdict'] == 'bad'} == {0, 1}"
# weights are judged with the doubt of logits that nobody gave, also where these
# had to choose the pairs of rows
"$MOESIM" golden -q "$work/one.yaml" -o "$work/idless" --stages experts ||
    fail "golden --stages experts"
$spoil "$work/one/rank-0000.safetensors" "$work/got.safetensors" \
    keep:topk_weights,gemm2_out flip:topk_weights:1
expect 0 "$MOESIM" check "$work/idless" "$work/got.safetensors" \
    --json "$work/check.json"
holds "$work/check.json" "[f['tensor'] for f in r['findings']] == ['topk_weights', 'gemm2_out']"
spoil_ranks drop:gemm2_out "bits:output:7:$one_ulp"
expect 0 "$MOESIM" check "$golden" "$ranks"
spoil_ranks keep:gemm1_out,gemm2_out,output zero-row:gemm1_out:3
expect 1 "$MOESIM" check "$golden" "$ranks" --json "$work/check.json"
holds "$work/check.json" \
    "{f['tensor'] for f in r['findings'] if f['verdict'] == 'bad'} <= {'gemm1_out', 'gemm2_out'}"
# a router that chooses others, in all ranks' counts too
expect 1 timeout 60 "$MOESIM" run "$golden.yaml" -o "$work/chosen" \
    --inject group-max-for-top2-sum@1
says "elements are not the oracle's"
# the first place of the chain leads, though a rank's sum is looked at first
spoil_ranks keep:gemm1_out,output zero:gemm1_out
$spoil "$ranks/rank-0000.safetensors" "$work/got.safetensors" zero:output &&
    mv "$work/got.safetensors" "$ranks/rank-0000.safetensors"
expect 1 "$MOESIM" check "$golden" "$ranks" --json "$work/check.json"
holds "$work/check.json" \
    "[d['tensor'] for d in r['diagnosis']] == ['gemm1_out', 'output']"

# Two runs of one kernel; bare files; what is wrong with the input.
$spoil "$golden/rank-0000.safetensors" "$work/a.safetensors" keep:output
$spoil "$golden/rank-0000.safetensors" "$work/b.safetensors" keep:output \
    flip:output
expect 1 "$MOESIM" check "$golden" "$work/a.safetensors" "$work/b.safetensors" \
    --only-rank 0 --json "$work/check.json"
bad output "f['kind'] == 'race'"
# of what the first has not nothing is said
expect 0 "$MOESIM" check "$golden" "$work/a.safetensors" \
    "$golden/rank-0000.safetensors" --only-rank 0
# another order of rows that say who they are, and other padding, are no race
cp "$golden/rank-0000.safetensors" "$work/one.safetensors"
$spoil "$work/one.safetensors" "$work/padded.safetensors" pad
$spoil "$work/one.safetensors" "$work/turned.safetensors" shuffle pad
$spoil "$work/one.safetensors" "$work/raced.safetensors" shuffle pad \
    flip:gemm2_out
expect 0 "$MOESIM" check "$golden" "$work/padded.safetensors" \
    "$work/turned.safetensors" --only-rank 0
expect 1 "$MOESIM" check "$golden" "$work/padded.safetensors" \
    "$work/turned.safetensors" --only-rank 0 --order exact
expect 1 "$MOESIM" check "$golden" "$work/padded.safetensors" \
    "$work/raced.safetensors" --only-rank 0 --json "$work/check.json"
bad gemm2_out "f['kind'] == 'race' and f['rank'] == 0 and f['differ'] == 1"
"$PYTHON" - "$work" "$top_srcdir/tests/e2e" <<'END' &&
import json, sys
sys.path.insert(0, sys.argv[2])
import tensors as T
first, = [f["first"] for f in json.load(open(sys.argv[1] + "/check.json"))
          ["findings"] if f["kind"] == "race"]
a, b = (T.read(sys.argv[1] + name) for name in ("/padded.safetensors",
                                                "/raced.safetensors"))
def rows(r): # by who they are, without padding
    width = len(r["gemm2_out"][2]) // r["gemm2_out"][1][0]
    who = [T.values(r[n]) for n in ("src_rank", "src_token", "slot", "expert")]
    return {w: (i, r["gemm2_out"][2][i * width:(i + 1) * width])
            for i, w in enumerate(list(zip(*who))[:T.values(r["valid_rows"])[0]])}
one, two = rows(a), rows(b)
(who, (row, data)), = [(w, r) for w, r in one.items() if r[1] != two[w][1]]
at, = [i for i in range(len(data)) if data[i] != two[who][1][i]]
assert first == {"row": row, "column": at // 2, "src_rank": who[0],
                 "src_token": who[1], "slot": who[2], "expert": who[3]}, first
END
    pass "place of a race" || fail "place of a race"
grep -qE "first in row [0-9]+, column [0-9]+, token [0-9]+ of rank [01], expert [0-9], rank 0" \
    "$work/stdout" && pass "told with its place" || fail "race without a place"
# rows that say nothing lie as REF's; of lists that one run has alone nothing is
# said
$spoil "$work/one.safetensors" "$work/silent.safetensors" \
    drop:src_rank drop:src_token drop:slot drop:expert
$spoil "$work/turned.safetensors" "$work/slotless.safetensors" drop:slot
for other in turned slotless; do
    expect 0 "$MOESIM" check "$golden" "$work/silent.safetensors" \
        "$work/$other.safetensors" --only-rank 0 --json "$work/check.json"
    expect 0 "$MOESIM" check "$golden" "$work/$other.safetensors" \
        "$work/silent.safetensors" --only-rank 0
done
expect 0 "$MOESIM" check "$golden" "$work/slotless.safetensors" \
    "$work/padded.safetensors" --only-rank 0
expect 1 "$MOESIM" check "$golden" "$work/silent.safetensors" \
    "$work/raced.safetensors" --only-rank 0 --json "$work/check.json"
bad gemm2_out "f['kind'] == 'race' and f['differ'] == 1"
# nor are rows REF's where there are more than it has
$spoil "$work/turned.safetensors" "$work/more.safetensors" \
    keep:output,gemm2_out drop:src_rank drop:src_token drop:slot drop:expert
$spoil "$work/turned.safetensors" "$work/more-slots.safetensors" \
    keep:output,gemm2_out drop:src_rank drop:src_token drop:expert
expect 1 "$MOESIM" check "$golden" "$work/more.safetensors" \
    "$work/more-slots.safetensors" --only-rank 0 --json "$work/check.json"
holds "$work/check.json" "not any(f['kind'] == 'race' for f in r['findings'])"
# what the files do not say of a place is not told: whose token a row is; a
# token of the one global scale
for run in one raced; do
    $spoil "$work/$run.safetensors" "$work/$run-unranked.safetensors" \
        drop:src_rank
done
expect 1 "$MOESIM" check "$golden" "$work/one-unranked.safetensors" \
    "$work/raced-unranked.safetensors" --only-rank 0 --json "$work/check.json"
bad gemm2_out "f['kind'] == 'race' and 'src_token' in f['first'] and 'src_rank' not in f['first']"
grep -q "src_token [0-9]*, expert [0-9]*, rank 0" "$work/stdout" &&
    ! grep -q "first in row.* of rank" "$work/stdout" &&
    pass "no rank that the file has not" || fail "$(cat "$work/stdout")"
$spoil "$work/one.safetensors" "$work/scaled.safetensors" \
    flip:dispatch.decode_scale:0 flip:dispatch.scale:70
expect 1 "$MOESIM" check "$golden" "$work/one.safetensors" \
    "$work/scaled.safetensors" --only-rank 0 --json "$work/check.json"
bad dispatch.decode_scale "f['kind'] == 'race' and f['first'] == {'row': 0, 'column': 0}"
bad dispatch.scale "f['kind'] == 'race' and f['first'] == {'row': 2, 'column': 6, 'token': 2}"
expect 2 "$MOESIM" check "$work/a.safetensors" "$work/b.safetensors"
says "max-ulp"
expect 0 "$MOESIM" check "$work/a.safetensors" "$work/b.safetensors" \
    --max-ulp 2000
# NaN and infinity are counted, not measured; codes have elements
expect 1 "$MOESIM" check "$work/a.safetensors" "$work/b.safetensors" --max-ulp 0
$spoil "$golden/rank-0000.safetensors" "$work/nan.safetensors" keep:output \
    bits:output:7:7fc0 bits:output:8:7f80 bits:output:9:ff80
expect 1 "$MOESIM" check "$work/a.safetensors" "$work/nan.safetensors" \
    --max-ulp 9 --json "$work/check.json"
grep -q "1 NaN, 2 infinite" "$work/stdout" && pass "counts" ||
    fail "$(cat "$work/stdout")"
bad output "f['nans'] == 1 and f['infinities'] == 2 and f['max_ulp'] == 0"
$spoil "$golden/rank-0000.safetensors" "$work/codes.safetensors" keep:dispatch
expect 0 "$MOESIM" check "$work/codes.safetensors" "$work/codes.safetensors"
grep -q "^good: .* tensors, [1-9][0-9]* elements checked" "$work/stdout" &&
    pass "elements of codes" || fail "$(cat "$work/stdout")"
expect 2 "$MOESIM" check "$golden" "$work/a.safetensors"
says "only-rank"
expect 2 "$MOESIM" check "$golden"
expect 2 "$MOESIM" check "$golden" "$work/nowhere.safetensors"
says "nowhere.safetensors: No such file or directory, expected a file of a rank"
expect 2 "$MOESIM" check "$golden" "$work/nowhere.safetensors" --only-rank 0
head -c 300 "$golden/rank-0000.safetensors" >"$work/cut.safetensors"
expect 2 "$MOESIM" check "$golden" "$work/cut.safetensors" --only-rank 0
says "byte 0"
make_golden "$work/empty" 2 "[9, 0]"
$spoil "$golden/rank-0000.safetensors" "$work/got.safetensors" keep:logits
expect 2 "$MOESIM" check "$work/empty" "$work/got.safetensors" --only-rank 1
says "expected fp32 of 0 rows, 16 columns"
mkfifo "$work/pipe"
expect 2 timeout 10 "$MOESIM" check "$golden" "$work/pipe" --only-rank 0
cp -r "$golden" "$work/changed"
sed -i 's/^seed: .*/seed: 6/' "$work/changed/scenario.yaml"
expect 2 "$MOESIM" check "$work/changed" "$work/changed"
says "digest"


# a folder has a file of every rank that REF has; --only-rank asks for less
mkdir "$work/part"
cp "$golden/rank-0000.safetensors" "$work/part/"
expect 1 "$MOESIM" check "$golden" "$work/part" --json "$work/check.json" \
    --junit "$work/junit.xml"
bad file "f['kind'] == 'missing' and f['rank'] == 1 and 'rank-0001.safetensors' in f['what']"
holds "$work/check.json" "sum(f['verdict'] == 'bad' for f in r['findings']) == 1 and len(r['findings']) == 13"
head -n 1 "$work/stdout" | grep -q \
    "^BAD: 1 file of ranks missing, 0 of 12 tensors are wrong" &&
    grep -q "GOT has no rank-0001.safetensors, rank 1 is not checked" \
        "$work/stdout" && pass "says which file" || fail "$(cat "$work/stdout")"
grep -A 1 'rank1" name="file"' "$work/junit.xml" | grep -q "<failure.*rank 1" &&
    pass "a failure in JUnit" || fail "JUnit of a missing file"
expect 0 "$MOESIM" check "$golden" "$work/part" --only-rank 0
expect 1 "$MOESIM" check "$golden" "$golden" "$work/part" \
    --json "$work/check.json"
bad file "f['rank'] == 1 and f['what'].startswith('GOT2 has no rank-0001')"
# of a REF of one rank, that rank alone is wanted
"$MOESIM" golden -q "$golden.yaml" -o "$work/only" --only-rank 0 ||
    fail "golden --only-rank"
expect 0 "$MOESIM" check "$work/only" "$work/part"

# names that nobody knows are told with the nearest; a golden file's own not
judge 0 rename:gemm2_out:gemm2_ouy rename:combine:combined rename:logits:bogus
holds "$work/check.json" \
    "[w for w in r['warnings'] if 'unknown' in w] == ['rank 0: unknown names in GOT, not checked: gemm2_ouy (gemm2_out?), combined (combine?), bogus']"
grep -q "^warning: rank 0: unknown names in GOT.*gemm2_ouy (gemm2_out?)" \
    <("$MOESIM" check "$golden" "$work/got.safetensors" --only-rank 0) &&
    pass "told on the terminal" || fail "unknown names on the terminal"
"$MOESIM" golden -q "$golden.yaml" -o "$work/local" --weights local ||
    fail "golden --weights local"
for ref in local golden; do
    expect 0 "$MOESIM" check "$work/$ref" "$work/local" \
        --json "$work/check.json"
    holds "$work/check.json" "not any('unknown' in w for w in r['warnings'])"
done
$spoil "$golden/rank-0000.safetensors" "$work/names.safetensors" keep:output \
    drop:src_rank drop:src_token drop:slot drop:expert rename:output:outptu
expect 2 "$MOESIM" check "$golden" "$work/names.safetensors" --only-rank 0
says "has none of the tensors of a layer: it has outptu; expected any of hidden, logits, .*, output"

# another type or shape is told with both; U16 are the bits of a 16-bit float
$spoil "$work/a.safetensors" "$work/u16.safetensors" type:output:U16
$spoil "$work/b.safetensors" "$work/u16b.safetensors" type:output:U16
$spoil "$work/a.safetensors" "$work/i16.safetensors" type:output:I16
for one in "a u16" "u16 a"; do
    set -- $one
    expect 0 "$MOESIM" check "$work/$1.safetensors" "$work/$2.safetensors" \
        --max-ulp 0 --json "$work/check.json"
    holds "$work/check.json" \
        "[f['max_ulp'] for f in r['findings'] if f['tensor'] == 'output'] == [0]"
done
expect 1 "$MOESIM" check "$work/a.safetensors" "$work/u16b.safetensors" \
    --max-ulp 0
expect 2 "$MOESIM" check "$work/u16.safetensors" "$work/a.safetensors"
says "max-ulp"
expect 0 "$MOESIM" check "$golden" "$work/a.safetensors" \
    "$work/u16.safetensors" --only-rank 0
expect 1 "$MOESIM" check "$work/a.safetensors" "$work/i16.safetensors" \
    --max-ulp 0 --json "$work/check.json"
bad output "f['kind'] == 'type' and f['what'] == 'is I16 [24, 512], REF has BF16 [24, 512]'"
grep -q "BAD.*output.*type: is I16 \[24, 512\], REF has BF16 \[24, 512\]" \
    "$work/stdout" && pass "both types" || fail "$(cat "$work/stdout")"
expect 1 "$MOESIM" check "$golden" "$work/a.safetensors" \
    "$work/i16.safetensors" --only-rank 0 --json "$work/check.json"
bad output "f['what'] == 'is BF16 [24, 512], GOT2 has I16 [24, 512]'"
$spoil "$golden/rank-0001.safetensors" "$work/nine.safetensors" keep:output
expect 1 "$MOESIM" check "$work/a.safetensors" "$work/nine.safetensors" \
    --max-ulp 0 --json "$work/check.json"
bad output "f['kind'] == 'shape' and f['what'] == 'is BF16 [9, 512], REF has BF16 [24, 512]'"
$spoil "$work/a.safetensors" "$work/extra.safetensors" rename:slot:slots
expect 0 "$MOESIM" check "$work/a.safetensors" "$work/extra.safetensors" \
    --max-ulp 0 --json "$work/check.json"
holds "$work/check.json" "r['warnings'][0] == 'unknown names in GOT, not checked: slots (slot?)' and
    r['warnings'][1] == 'not in GOT, not checked: slot'"

# codes of another profile are not named as a rounding that nobody made, and an
# output that was not written is told as such
wide=$work/wide
make_golden "$wide" 1 1024
for profile in $(some fast-rcp-sm90 "fast-rcp-sm90 torchao-nvfp4"); do
    scale=672
    [ $profile != torchao-nvfp4 ] || scale=0.00148809523809
    rm -f "$work/q.safetensors"
    expect 0 "$MOESIM" op quantize -q --in "$wide/rank-0000.safetensors" \
        --tensor x=hidden --tensor y=dispatch --to nvfp4 --profile $profile \
        --set global_scale=$scale --out "$work/q.safetensors"
    expect 1 "$MOESIM" check "$wide" "$work/q.safetensors"
    grep -q "^diagnosis, rank 0: another-profile: .* as .*$profile" \
        "$work/stdout" && pass "profile $profile" || fail "$(cat "$work/stdout")"
done
"$PYTHON" - "$golden/rank-0000.safetensors" "$work/z.safetensors" <<'END'
import os, sys
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/e2e")
import tensors as T
kind, shape, raw = T.read(sys.argv[1])["output"]
T.write(sys.argv[2], {"output": (kind, shape, bytes(len(raw)))})
END
expect 1 "$MOESIM" check "$golden" "$work/z.safetensors" --only-rank 0
grep -q '^diagnosis, rank 0: kernel-not-run: ' "$work/stdout" &&
    pass "zeros" || fail "$(cat "$work/stdout")"

# logits that are no numbers: told, and nothing is made of them
for bits in $(some 7fc00000 "7fc00000 7f800000 ff800000"); do
    "$PYTHON" - "$golden/rank-0000.safetensors" "$work/inf" $bits <<'END'
import os, struct, sys
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/e2e")
import tensors as T
t = T.read(sys.argv[1])
kind, shape, raw = t["logits"]
t["logits"] = kind, shape, struct.pack("<I", int(sys.argv[3], 16)) + raw[4:]
T.write(sys.argv[2] + "1.safetensors", {"logits": t["logits"]})
T.write(sys.argv[2] + "2.safetensors", t)
END
    for given in 1 2; do
        expect 1 "$MOESIM" check "$golden" "$work/inf$given.safetensors" \
            --only-rank 0 --json "$work/check.json"
        bad logits "f['nans'] + f['infinities'] == 1"
    done
done

# a folder without its manifest
expect 2 "$MOESIM" check "$work/part" "$work/part"
says "part: has no manifest.json, expected a golden folder"

finish
