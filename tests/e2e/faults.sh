#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults: one message with rank and stage, the right exit status, no report,
# no process left, within 10 seconds more than the run takes without.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml

good=$SECONDS
expect 0 timeout 120 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out"
good=$((SECONDS - good))
rm -rf "$work/out"

# fault STATUS PATTERN INJECTION [OPTION...]
fault() {
    local want=$1 pattern=$2 what=$3 start=$SECONDS
    shift 3
    expect "$want" timeout 90 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out" \
        --inject "$what" "$@"
    says "$pattern"
    [ $((SECONDS - start)) -le $((10 + good)) ] && pass "in time" ||
        fail "$what took $((SECONDS - start)) s, the run without $good s"
    [ ! -e "$work/out/report.json" ] && pass "no report" || fail "a report"
    [ ! -e "$work/out/.unfinished" ] && pass "nothing unfinished" ||
        fail "$(find "$work/out")"
    rm -rf "$work/out"
    no_process_left
}

fault 1 'rank 2' count-mismatch@2
fault 1 'rank 1 left out allreduce \(call 1 of pad_allreduce, stage prepare' \
    skip-collective@1
sides='stage finalize.*rank 0 sends .*ranks 0,1,2 entered.*rank 3 sends'
fault 1 "rank 3 left out .* \(call .*, $sides" \
    skip-collective@3:last
# unagreed: a call that is left out shows as a wrong result, or as a hang
fault 1 'rank 0' skip-collective@0 --no-verify-calls
fault 3 'rank 1.*experts' kill@1:experts
fault 3 'rank 0.*prepare' kill@0:prepare --json -
holds "$work/stdout" "r['schema'] == 'moesim-failure-1' and
    r['command'] == 'run' and r['exit_status'] == 3 and
    r['status'] == 'the environment is wrong' and len(r['errors']) == 1 and
    r['errors'][0].startswith('rank 0 died in stage prepare')"
# rank 2 has no tokens: what it cannot have is not nothing
fault 3 'rank 2.*prepare.*: [1-9][0-9]* bytes for' oom@2:prepare
fault 3 'rank 2.*finalize' oom@2:finalize
fault 3 'rank 3.*experts' oom@3:experts

# a kernel's mistake: the run ends, and its output is not the oracle's
for what in nibbles-swapped truncation@1 reduced-twice previous-calls-output@1; do
    expect 1 timeout 60 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out" \
        --inject "$what"
    says "^moesim: method [a-z_]+: .* are not the oracle's"
    [ "$(tail -n 1 "$work/stdout")" = "report: $work/out" ] &&
        pass "says where its report is" || fail "$(tail -n 1 "$work/stdout")"
    rm -rf "$work/out"
done
expect 0 timeout 60 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out" \
    --inject clamp-missing --inject oom@2:unpermute
for what in clamp-missing oom@2:unpermute; do
    grep -q "warning: --inject $what had no effect" "$work/stdout" &&
        pass "an injection without effect is told" || fail "no warning"
done
rm -rf "$work/out"

# hidden states of the call before: of one rank's tokens, whoever has them by
# the method; the same where data is not drawn by a seed. And a wrong router
# leaves a gate its scores.
two=(--dp 2 --ep 2 --tokens 5 -q -o "$work/out")
expect 1 timeout 60 "$MOESIM" run "$tiny" "${two[@]}" \
    --method tp_allreduce,allgatherv --inject previous-calls-output@1
holds "$work/out/report.json" "[m['elements_mismatching'] > 1200 and
    m['elements_mismatching'] <= 1280 for m in r['methods']] == [True] * 2"
rm -rf "$work/out"
none() { # MISTAKE OPTION...: it has no effect, and that is told
    local what=$1
    shift
    expect 0 timeout 60 "$MOESIM" run "$tiny" "${two[@]}" --inject "$what" "$@"
    holds "$work/out/report.json" "[w for w in r['warnings']
        if '--inject $what had no effect' in w]"
    rm -rf "$work/out"
}
none previous-calls-output --method allgatherv --data stamp
none group-max-for-top2-sum --set model.n_group=1 --set model.topk_group=1 \
    --set model.bias=false --set model.score=softmax \
    --set 'methods=[{capacity_alltoall: {gate: topk, drop: probs}}]'

# ended from outside: one message with ranks and stages, nothing left
seed=$top_srcdir/scenarios/seeds/sglang-7667.yaml
# outside NAME: a run whose ranks have come, and its mpirun
outside() {
    "$MOESIM" run "$seed" --quiet -o "$work/$1" \
        >"$work/stdout" 2>"$work/stderr" &
    pid=$!
    ranks_came "$work/$1" 8
    # the file of their state has a name until each has it
    for _ in $(seq 300); do
        compgen -G "$work/$1/.unfinished/moesim-ranks-*" >/dev/null || break
        sleep 0.1
    done
    mpirun=$(pgrep -P "$pid" | head -n 1)
}

# ended NAME PATTERN: what is left of it, and what it says
ended() {
    local got=0
    wait "$pid" || got=$?
    [ "$got" -eq 3 ] && pass "$1: exit 3" || fail "$1: exit $got"
    says "$2"
    [ ! -e "$work/$1/report.json" ] && pass "no report" || fail "a report"
    no_process_left
}

outside interrupt
kill -INT "$pid"
ended interrupt 'interrupted by signal 2 .*: ranks? [0-9,-]+ in '
outside mpirun
kill -KILL "$mpirun"
# ranks that end with it may have said their last word before they are asked
ended mpirun 'mpirun died of signal 9'

outside rank
kill -TERM "$(pgrep -P "$mpirun" | sed -n 3p)"
ended rank 'rank [0-7] was ended in .* by signal 15 .*, sent by somebody'

# kill -9 of the supervisor leaves nothing behind
outside nine
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
no_process_left

# a limit of files below what the start of MPI makes is known before it
for kib in 10 1000; do
    expect 3 bash -c 'ulimit -f "$1"; shift; exec "$@"' _ "$kib" \
        timeout 60 "$MOESIM" run "$tiny" --ranks 4 -q -o "$work/out"
    says "^moesim: files may have $((kib * 1024)) bytes here.*ulimit -f"
    [ "$(wc -l <"$work/stderr")" -eq 1 ] && pass "one line" ||
        fail "$(head -n 20 "$work/stderr")"
    [ ! -e "$work/out/report.json" ] && pass "no report" || fail "a report"
done
expect 3 bash -c 'ulimit -f 1000; exec "$@"' _ "$MOESIM" doctor
grep -q 'files may have 1024000 bytes here.*ulimit -f' "$work/stdout" &&
    pass "doctor tells the limit" || fail "$(cat "$work/stdout")"

# a full disk: a file system of 1 MiB, in a name space of its own
mkdir "$work/small"
mount='mount -t tmpfs -o size=1M tmpfs "$0" || exit 98'
for small in "unshare -m" "unshare -rm" ""; do
    [ -n "$small" ] && $small bash -c "$mount" "$work/small" 2>/dev/null && break
done
if [ -n "$small" ]; then
    expect 3 $small bash -c "$mount"'
        got=0
        "$@" || got=$?
        [ -z "$(ls -A "$0")" ] || exit 97
        exit $got' "$work/small" timeout 120 "$MOESIM" run "$tiny" \
        --tokens 2000 -o "$work/small/out"
    says 'rank [0-9].*No space left'
else
    skip "a full disk: nothing can be mounted, and unshare -rm is refused"
fi
finish
