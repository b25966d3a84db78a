#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults: one message with rank and stage, the right exit status, no report,
# no process left, within 10 seconds.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml

# fault STATUS PATTERN INJECTION [OPTION...]
fault() {
    local want=$1 pattern=$2 what=$3 start=$SECONDS
    shift 3
    expect "$want" timeout 30 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out" \
        --inject "$what" "$@"
    says "$pattern"
    [ $((SECONDS - start)) -le 10 ] && pass "in time" ||
        fail "$what took $((SECONDS - start)) s"
    [ ! -e "$work/out/report.json" ] && pass "no report" || fail "a report"
    [ ! -e "$work/out/.unfinished" ] && pass "nothing unfinished" ||
        fail "$(find "$work/out")"
    rm -rf "$work/out"
    no_process_left
}

fault 1 'rank 2' count-mismatch@2
fault 1 'rank 1 left out allreduce \(call 1 of pad_allreduce, stage prepare' \
    skip-collective@1
fault 1 'rank 3 left out .* \(call .*, stage finalize.*ranks 0,1,2 entered' \
    skip-collective@3:last
fault 3 'rank 1.*experts' kill@1:experts
fault 3 'rank 0.*prepare' kill@0:prepare
fault 3 'rank 2.*finalize' oom@2:finalize
fault 3 'rank 3.*experts' oom@3:experts

# a kernel's mistake: the run ends, and its output is not the oracle's
for what in nibbles-swapped truncation@1 reduced-twice; do
    expect 1 timeout 60 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out" \
        --inject "$what"
    says "not the oracle's"
    rm -rf "$work/out"
done
expect 0 timeout 60 "$MOESIM" run "$tiny" --ranks 4 -o "$work/out" \
    --inject clamp-missing
grep -q "warning: --inject clamp-missing had no effect" "$work/stdout" &&
    pass "an injection without effect is told" || fail "no warning"
rm -rf "$work/out"

# an interrupt: passed on, one message, nothing left
"$MOESIM" run "$top_srcdir/scenarios/seeds/sglang-7667.yaml" --quiet \
    -o "$work/int" >"$work/stdout" 2>"$work/stderr" &
pid=$!
sleep 2
kill -INT "$pid"
got=0
wait "$pid" || got=$?
[ "$got" -eq 3 ] && pass "interrupt: exit 3" || fail "interrupt: exit $got"
says 'interrupted'
[ ! -e "$work/int/report.json" ] && pass "no report" || fail "a report"
no_process_left

# kill -9 of the supervisor leaves nothing behind
"$MOESIM" run "$top_srcdir/scenarios/seeds/sglang-7667.yaml" --quiet \
    -o "$work/nine" >/dev/null 2>&1 &
pid=$!
sleep 2
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
sleep 1
no_process_left

# a full disk, where a small file system can be mounted
mkdir "$work/small"
if mount -t tmpfs -o size=1M tmpfs "$work/small" 2>/dev/null; then
    expect 3 timeout 120 "$MOESIM" run "$tiny" --tokens 2000 \
        -o "$work/small/out"
    says 'rank [0-9].*No space left'
    [ -z "$(ls -A "$work/small")" ] && pass "nothing left" ||
        fail "left: $(find "$work/small")"
    umount "$work/small"
fi
finish
