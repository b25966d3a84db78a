#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where a report goes: a launcher's own ranks, two runs into one folder, what
# a killed run left, files and file systems in the way; what is refused before
# a rank is started.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml
cd "$work"
mkdir run
cd run

# nothing PLACE: the folder holds nothing at all, hidden or not, soon
nothing() {
    for _ in $(seq 30); do
        [ -z "$(ls -A "$1")" ] && break
        sleep 0.1
    done
    [ -z "$(ls -A "$1")" ] && pass "nothing in ${1##*/}" ||
        fail "left: $(find "$1")"
}

# a launcher's own ranks choose one folder, and it is the last line
expect 0 "$MPIRUN" -q -n 2 "$MOESIM" run "$tiny" --ranks 2
last=$(tail -n 1 "$work/stdout")
[ "$(ls moesim-out/first | wc -l)" -eq 2 ] && pass "one folder and latest" ||
    fail "$(ls -A moesim-out/first)"
[ -s "${last#report: }/report.json" ] && pass "$last" || fail "$last"
[ "$(ls -A "${last#report: }" | tr '\n' ' ')" = \
    "ledger.jsonl report.json report.md " ] && pass files || fail files
rm -r moesim-out
expect 2 "$MPIRUN" -q -n 3 "$MOESIM" run "$tiny" --ranks 2
# (Open MPI may drop a rank's last line when it ends the others)
nothing .
expect 2 "$MPIRUN" -q -n 2 "$MOESIM" run "$tiny" --ranks 2 --inject kill@1:foo
nothing .

# its end by a signal leaves nothing
"$MPIRUN" -q -n 8 "$MOESIM" run "$top_srcdir/scenarios/seeds/sglang-7667.yaml" \
    --quiet >"$work/stdout" 2>"$work/stderr" &
pid=$!
for _ in $(seq 600); do
    [ -n "$(find . -name .unfinished)" ] && break
    sleep 0.1
done
[ -n "$(find . -name .unfinished)" ] && pass started || fail "did not start"
kill -INT "$pid"
wait "$pid" 2>/dev/null || true
no_process_left
nothing .

# so does that of rank 0 by kill -9
"$MPIRUN" -q -n 8 "$MOESIM" run "$top_srcdir/scenarios/seeds/sglang-7667.yaml" \
    -o nine --quiet >"$work/stdout" 2>"$work/stderr" &
pid=$!
for _ in $(seq 600); do
    [ -s nine/.unfinished/owner ] && break
    sleep 0.1
done
kill -KILL "$(cat nine/.unfinished/owner)"
wait "$pid" 2>/dev/null || true
no_process_left
nothing .

# several scenarios: a folder each by name, one document, all problems at once
seven=$work/deepspeed-7997.yaml # with few tokens
sed 's/tokens: .*/tokens: [8]/' \
    "$top_srcdir/scenarios/seeds/deepspeed-7997.yaml" >"$seven"
gating=$top_srcdir/scenarios/seeds/deepspeed-gating.yaml
expect 0 "$MOESIM" run "$seven" -o several "$gating" --json - \
    --method capacity_alltoall
"$PYTHON" -c 'import json, sys
d = json.load(sys.stdin)
assert d["schema"] == "moesim-runs-1", d["schema"]
print(*[r["scenario"]["name"] for r in d["runs"]])' <"$work/stdout" >names &&
    [ "$(cat names)" = "deepspeed-7997 deepspeed-gating" ] &&
    pass "two reports" || fail "$(cat names "$work/stdout")"
for name in deepspeed-7997 deepspeed-gating; do
    [ -s several/$name/report.json ] && pass $name || fail "no report: $name"
done
expect 1 "$MOESIM" run "$seven" "$gating" -o wrong \
    --inject gate-up-swapped@0 --method capacity_alltoall
[ "$(tail -n 1 "$work/stdout")" = \
    "2 scenarios: 0 passed, 2 failed, 0 not run" ] && pass sum ||
    fail "$(tail -n 3 "$work/stdout")"
expect 2 "$MOESIM" run "$seven" none-a.yaml none-b.yaml
says 'none-a.yaml'
says 'none-b.yaml'
expect 2 "$MOESIM" run "$seven" "$seven"
says "is that of"
expect 2 "$MPIRUN" -q -n 1 "$MOESIM" run "$seven" "$gating"
says 'without a launcher'
rm -r several wrong names

# price says it once under a launcher
expect 0 "$MPIRUN" -q -n 2 "$MOESIM" price "$tiny" --set sweep={}
[ "$(grep -c '^ *allgatherv' "$work/stdout")" -ge 1 ] &&
    [ -z "$(sort "$work/stdout" | grep '^first:' | uniq -d)" ] &&
    pass "one table" || fail "$(cat "$work/stdout")"

# two runs into one folder: the second is refused, the first is not harmed
"$MOESIM" run "$top_srcdir/scenarios/seeds/sglang-7667.yaml" --quiet -o both \
    >/dev/null 2>&1 &
pid=$!
for _ in $(seq 600); do
    [ -s both/.unfinished/owner ] && break
    sleep 0.1
done
expect 2 "$MOESIM" run "$tiny" -o both
says 'both: another run \(process [0-9]+\)'
[ -s both/.unfinished/owner ] && pass "not harmed" || fail "harmed"

# killed, it leaves its hidden folder; the next run there says so
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
sleep 1
expect 0 "$MOESIM" run "$tiny" --ranks 2 --quiet -o both
says 'both: removed what a run that was killed left'
[ "$(ls -A both | tr '\n' ' ')" = "ledger.jsonl report.json report.md " ] &&
    pass "clean" || fail "$(ls -A both)"
rm -r both

# a folder of the user's own stays, even if the run fails
mkdir own
expect 1 "$MOESIM" run "$tiny" --ranks 2 -o own --inject skip-collective@1
nothing own
expect 1 "$MOESIM" run "$tiny" --ranks 2 -o own/a/b --inject skip-collective@1
nothing own
rmdir own

# a file in the way is the user's; a file system that refuses is not
echo data >file
for place in file file/below; do
    expect 2 "$MOESIM" run "$tiny" --ranks 2 -o "$place"
    says '^moesim: file: is a file, expected the name of a folder'
    expect 2 "$MOESIM" price "$tiny" -o "$place"
    says '^moesim: file: is a file, expected the name of a folder'
done
expect 3 "$MOESIM" run "$tiny" --ranks 2 -o /proc/moesim-out
says '^moesim: /proc/moesim-out.*: .*; -o DIR names another place'
[ "$(cat file)" = data ] && pass "the file is whole" || fail "$(cat file)"
rm file

# a file of --json that cannot be written is known before a rank is started
for place in "$work" none/x.json; do
    expect 3 "$MOESIM" run "$tiny" --ranks 2 --json "$place"
    says "^moesim: $place: "
    nothing .
    expect 3 "$MOESIM" price "$tiny" -o priced --json "$place"
    says "^moesim: $place: "
    nothing .
done
expect 0 "$MOESIM" price "$tiny" -o priced/ --json priced/own.json
[ -s priced/own.json ] && pass "beside the report" || fail "$(ls priced)"
rm -r priced

# what is not a run's own stays as it was
mkdir -p hidden/.unfinished linked parts gold/golden
echo mine >hidden/.unfinished/mine
ln -s "$PWD/hidden/.unfinished" linked/.unfinished
echo mine >parts/report.md
echo mine >gold/golden/mine
cp "$tiny" own.yaml
find . -type f -exec cksum {} + | sort >"$work/before"
for what in "-o hidden" "-o linked" "-o parts" "-o gold --golden" \
    "-o gold --golden --force" "-o own --json own.yaml"; do
    # shellcheck disable=SC2086
    expect 2 "$MOESIM" run own.yaml $what
done
expect 2 "$MOESIM" price own.yaml --trace own.yaml
find . -type f -exec cksum {} + | sort >"$work/after"
cmp -s "$work/before" "$work/after" && pass "all is as it was" ||
    fail "$(diff "$work/before" "$work/after")"
rm -r hidden linked parts gold own.yaml

# a limit of files is a full disk: the message says so, nothing is left
(
    ulimit -f 8
    exec "$MOESIM" price "$tiny" --quiet --json limited.json
) 2>"$work/stderr" && got=0 || got=$?
[ "$got" -eq 3 ] && pass "a file too large: exit 3" || fail "exit $got"
says 'limited.json: File too large'
nothing .

# so for a report, of which the first file would fit and the second not: no
# folder, and an older report stays as it was, even with --force
price_limited() {
    (
        ulimit -f 60
        exec "$MOESIM" price "$tiny" --method all --quiet "$@"
    ) 2>"$work/stderr" && got=0 || got=$?
    [ "$got" -eq 3 ] && pass "no room for a report: exit 3" || fail "exit $got"
    says 'report.json: File too large'
}
price_limited -o older/priced
nothing .
expect 0 "$MOESIM" price "$tiny" --method all --quiet -o older
[ "$(wc -c <older/report.md)" -lt 60000 ] && pass "the first would fit" ||
    fail "$(ls -l older)"
find . -type f -exec cksum {} + | sort >"$work/before"
price_limited -o older --force
find . -type f -exec cksum {} + | sort >"$work/after"
cmp -s "$work/before" "$work/after" && pass "the older is whole" ||
    fail "$(find . -type f)"

# --force puts a whole report in the place of a whole one, beside what is the
# user's too; a ledger of the older one does not stay
for own in "" mine; do
    [ -z "$own" ] || echo data >older/mine
    echo '{}' >older/ledger.jsonl
    expect 0 "$MOESIM" price "$tiny" --quiet -o older/ --force
    [ "$(find . | sort | tr '\n' ' ')" = \
        ". ./older ${own:+./older/mine }./older/report.json ./older/report.md " ] &&
        pass "replaced" || fail "$(find .)"
    holds older/report.json "len(r['methods']) < 10"
done
rm -r older

# nothing was compared: no claim, and a warning
expect 2 "$MOESIM" run "$tiny" --tokens 0 --strict --json none.json -o none
says 'a warning, with --strict'
holds none.json "len(r['warnings']) > 0 and
    all(m['identical_to'] is None for m in r['methods'])"
rm -r none none.json

# more ranks than this process may start
(
    ulimit -n 256
    exec "$MOESIM" run "$tiny" --ranks 100 -o many
) >"$work/stdout" 2>"$work/stderr" && got=0 || got=$?
[ "$got" -eq 3 ] && pass "too many files: exit 3" || fail "exit $got"
says '^moesim: 100 ranks need about [0-9]+ open files .*--ranks.*ulimit -n'
expect 3 "$MOESIM" run "$tiny" --ranks 3000 -o many --memory-limit 8G
says '^moesim: .*3000 ranks.*--ranks'

# root may start any number of processes: another user is asked
as=""
[ "$(id -u)" -ne 0 ] || as="setpriv --reuid 65534 --regid 65534 --clear-groups"
if $as "$MOESIM" --version >/dev/null 2>&1 &&
    $as cat "$tiny" >/dev/null 2>&1; then
    (
        ulimit -u 50
        exec $as "$MOESIM" run "$tiny" --ranks 100 -o many
    ) >"$work/stdout" 2>"$work/stderr" && got=0 || got=$?
    [ "$got" -eq 3 ] && pass "too many processes: exit 3" || fail "exit $got"
    says '^moesim: 100 ranks need about [0-9]+ processes .*--ranks'
else
    skip "too many processes: $MOESIM is for no other user"
fi

# faults that cannot be meant are known before a rank is started
expect 2 "$MOESIM" run "$tiny" --ranks 2 --inject kill@1:foo
says 'kill@1:foo: expected .*prepare, permute, experts, unpermute, finalize'
expect 2 "$MOESIM" run "$tiny" --ranks 2 --inject kill@2:experts
says 'kill@2:experts: expected a rank from 0 to 1'
expect 2 "$MOESIM" run "$tiny" --ranks 2 --inject burn@1
says 'burn@1: expected one of: count-mismatch@RANK'
nothing .
finish
