#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command line as a user meets it: problems, streams, lists, doctor,
# completion.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
cd "$work"
price="$MOESIM price --model deepseek-r1 --machine dgx-b200 --ep 8 --tokens 8"

# status OP... : exit status of a shell line, without stopping the test
status() {
    local got=0
    eval "$1" || got=$?
    [ "$got" -eq "$2" ] && pass "exit $2: $1" || fail "exit $got, not $2: $1"
}

# problems: all at once, nearest name, exit status 2
expect 2 "$MOESIM"
says '^moesim: expected a command'
expect 2 "$MOESIM" prise
says "^moesim: 'prise': unknown command, did you mean 'price'"
expect 2 $price --tokns 3 --ranks none --color blue
says 'did you mean --tokens'
says '^--ranks: '
says '^--color: '
expect 2 "$MOESIM" price first --method allgatherw --phase foo --machine nope \
    --set worklaod.x=1
says "^--method: 'allgatherw'"
says '^workload.phase: '
says '^machine: '
says "worklaod"
[ "$(wc -l <stderr)" -eq 4 ] && pass "four problems" || fail "$(cat stderr)"
# BLAS would wait for ever in an address space without room for its threads
if [ -z "${ASAN_OPTIONS:-}" ]; then
    expect 3 bash -c 'ulimit -v 100000; exec "$@"' _ "$MOESIM" run first -q
    says 'ulimit -v, or fewer threads'
fi
expect 2 "$MOESIM" price
says 'SCENARIO.yaml'
for verb in run golden; do
    expect 2 "$MOESIM" $verb
    says 'no scenario: expected a file'
done
for case in '--ep 8 --tokens 8=--model NAME, --machine NAME are missing' \
    '--model deepseek-r1=--machine NAME, --tokens N, --ep N are missing' \
    '--model deepseek-r1 --machine dgx-b200 --ep 8=--tokens N is missing'; do
    expect 2 "$MOESIM" price ${case%%=*}
    says "${case#*=}"
done
expect 2 "$MOESIM" price "$work/none.yaml"
expect 2 "$MOESIM" price --model deepsek-r1 --machine dgx-b200 --ep 8 --tokens 8
says "deepseek-r1"
expect 2 "$MOESIM" run --backend gpu --model deepseek-r1 --ep 1 --tokens 1
expect 2 "$MOESIM" list mehtods
says "did you mean 'methods'"
[ ! -s stdout ] && pass "stdout is empty" || fail "problems on stdout"

# with --json - a failure is a document, and the only one
for case in 'prise --json -=0' 'price --tokns 3 --json -=2' \
    'price none.yaml --json -=2' 'list mehtods --json -=2' \
    'list methods --json -=-' 'run none.yaml --json - --quiet=2' \
    'price --model deepseek-r1 --json - --machine dgx-b200=2'; do
    got=0
    "$MOESIM" ${case%=*} >stdout 2>stderr </dev/null || got=$?
    case ${case##*=} in
    0) [ ! -s stdout ] && pass "no command" || fail "$(cat stdout)" ;;
    -) holds stdout "r['status'] == 'ok'" ;;
    *) holds stdout "r['schema'] == 'moesim-failure-1' and r['errors'] and
        r['command'] == '${case%% *}' and
        r['exit_status'] == $got == ${case##*=} and
        r['errors'][0] in open('stderr').read()" ;;
    esac
done

# a scenario by its name, unless a file has it
expect 0 "$MOESIM" price sglang-7667 --print-scenario
grep -q '^name: sglang-7667' stdout && pass "by name" || fail "by name"
cp "$top_srcdir/scenarios/tutorial/first.yaml" sglang-7667
expect 0 "$MOESIM" run sglang-7667 --print-scenario
grep -q '^name: first' stdout && pass "a file first" || fail "a file first"
rm sglang-7667
mkdir sglang-7667
expect 0 "$MOESIM" run sglang-7667 --print-scenario
rmdir sglang-7667
expect 2 "$MOESIM" price sglang-7677
says "'sglang-7677': no such file, and no scenario .* mean 'sglang-7667'"

ln -s loop.yaml loop.yaml
expect 2 "$MOESIM" price loop.yaml
says 'loop.yaml: Too many levels of symbolic links'
expect 2 $price --set "name=$(printf 'n%.0s' {1..129})"
says 'name: has 129 bytes, expected at most 128'

# a change below --method and --model: taken, or told, in either order
expect 0 $price --method allgatherv --print-scenario \
    --set methods.0.allgatherv.dispatch=nvfp4
cp stdout after
expect 0 "$MOESIM" price --set methods.0.allgatherv.dispatch=nvfp4 \
    ${price#* price } --method allgatherv --print-scenario
grep -q 'dispatch: nvfp4' stdout && cmp stdout after && pass "below --method" ||
    fail "$(cat stdout)"
for case in '0.allgatherv.dispach=has no such option.*did you mean .dispatch' \
    '0.allgatherw.dispatch=is beside allgatherv' '7.allgatherv.dispatch=no place 7'; do
    expect 2 $price --method allgatherv --set "methods.${case%%=*}=nvfp4"
    says "^methods.*${case#*=}"
done
expect 2 $price --method all --set methods.0.allgatherv.dispatch=nvfp4
says "below 'all', which is a name, expected a list of methods: --method NAME"
for at in "--set model.topk=4 --model deepseek-r1" \
    "--model deepseek-r1 --set model.topk=4"; do
    expect 2 "$MOESIM" price $at --machine dgx-b200 --ep 8 --tokens 8
    says "^model.topk: nothing is below 'deepseek-r1'.* in a folder of MOESIM_PATH"
done

expect 2 $price --method allgatherv --set methods=[alltoallv]
says '^--method: is beside --set methods=, expected one of them'
expect 0 $price --set sweep.seed=[1,2] --tokens 1,2 --print-scenario
grep -q 'seed: \[1, 2\]' stdout && grep -q 'tokens: \[1, 2\]' stdout &&
    pass "both sweeps" || fail "$(grep -A3 sweep stdout)"

# help and version
for verb in run price list doctor; do
    expect 0 "$MOESIM" "$verb" --help
    grep -q "usage: moesim $verb" stdout && pass help || fail "help $verb"
done
expect 0 "$MOESIM" --help
expect 0 "$MOESIM" --version
grep -Eq '^moesim [0-9]+\.' stdout && pass version || fail version

# streams: JSON alone, a reader that leaves, a full disk, nothing there
expect 0 $price --json -
"$PYTHON" -m json.tool <stdout >/dev/null && pass "JSON alone" || fail "no JSON"
status "set -o pipefail; $price --json - 2>/dev/null | head -c 1 >/dev/null" 0
status "set -o pipefail; $MOESIM list keys | head -n 1 >/dev/null" 0
status "$price >/dev/full 2>stderr" 3
says 'cannot write to stdout'
status "$price --json - >/dev/full 2>stderr" 3
says 'cannot write to stdout'
status "$price >&- 2>stderr" 3
status "$price --quiet --json /dev/full 2>stderr" 3
status "$price --quiet --json $work/no/such/folder.json 2>stderr" 3
status "$price --quiet -o /dev/null/folder 2>stderr" 2
NO_COLOR=1 expect 0 $price
expect 0 $price --quiet
[ ! -s stdout ] && pass quiet || fail "quiet is not"

# lists
for what in $(sed -n 's/^MOE_LIST(\([a-z]*\),.*/\1/p' \
    "$top_srcdir/sim/list/lists.def"); do
    expect 0 "$MOESIM" list "$what"
    [ "$(wc -l <stdout)" -gt 1 ] && pass "$what" || fail "$what is empty"
    expect 0 "$MOESIM" list "$what" --json "$what.json"
    holds "$what.json" "r['schema'] == 'moesim-list-1' and r['items'] and
        all(i['name'] and set(i) == set(r['items'][0]) for i in r['items'])"
done
holds machines.json "any('h100_sxm' in m['aliases'].split()
    for m in r['items'])"
holds formats.json "[f['name'] for f in r['items'] for a in f['aliases'].split()
    if a in ('half', 'bfloat16', 'fp8')] == ['bf16', 'fp16', 'fp8_1x128']"
holds models.json "any(m['name'] == 'deepseek-r1' and m['hidden'] == 7168 and
    m['experts'] == 256 for m in r['items'])"
holds methods.json "all(m['source'] and m['payload'] and m['test']
    for m in r['items'])"

# doctor: sound here; a BLAS of other kernels; nothing to write on
# the value of --json may be left out: a word that was meant for something else
# is not written over; an empty file and a document of moesim's are
printf 'moesim: 1\n' >mine.yaml
: >empty.json
for words in 'check --json mine.yaml a b --max-ulp 0' \
    'run --json mine.yaml first' 'list methods --json mine.yaml'; do
    expect 2 "$MOESIM" $words
    says "^moesim: --json: mine.yaml is no JSON of moesim's and is not replaced"
done
[ "$(cat mine.yaml)" = 'moesim: 1' ] && pass "mine.yaml as it was" ||
    fail "$(cat mine.yaml)"
printf '{\n "schema": "moesim-golden-1"\n}\n' >manifest.json
expect 2 "$MOESIM" list methods --json manifest.json
expect 0 "$MOESIM" list methods --json empty.json
expect 0 "$MOESIM" list formats --json=empty.json
expect 0 "$MOESIM" list formats --json empty.json -q
"$PYTHON" -c "import json; assert json.load(open('empty.json'))['schema'] == 'moesim-list-1'" &&
    pass "replaced" || fail "empty.json"
expect 0 "$MOESIM" doctor --json doctor.json
holds doctor.json "r['status'] == 'ok' and
    {c['name'] for c in r['checks']} >= {'blas', 'mpi', 'memory', 'libraries'}"
holds doctor.json "all(c['state'] in ('ok', 'warning') for c in r['checks'])"
expect 0 "$MOESIM" doctor --blas-core NoSuchCore --json core.json
holds core.json "any(c['name'] == 'blas' and c['state'] == 'warning'
    for c in r['checks'])"
MOESIM_PATH=/nonexistent expect 0 "$MOESIM" doctor --quiet
[ ! -s stdout ] && pass quiet || fail "doctor --quiet is not"

# completion: commands, options, names
. "$top_srcdir/doc/completion/moesim"
complete_line() {
    COMP_WORDS=("$MOESIM" "$@")
    COMP_CWORD=$#
    _moesim
    printf '%s ' "${COMPREPLY[@]}"
}
for case in "pr=price" "price --toke=--tokens" "run --inj=--inject" \
    "price --model deepseek-r=deepseek-r1" "price --method all=allgatherv" \
    "list mach=machines" "price --numerics f=faithful"; do
    words=${case%%=*}
    complete_line $words | grep -qw -- "${case#*=}" &&
        pass "completes $words" || fail "completes $words: $(complete_line $words)"
done
finish
