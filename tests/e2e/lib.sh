# SPDX-License-Identifier: Apache-2.0
# Shell helpers of the end-to-end tests: a scratch folder, pass and fail, and
# questions to reports. Sourced; needs $MOESIM, $top_srcdir, $PYTHON.

: "${MOESIM:?}" "${PYTHON:?}" "${top_srcdir:?}" "${top_builddir:?}"

# MOESIM_LEAVE_OUT: names of scripts that another build of the same sources
# runs; "e2e" is all of them.
own=${0##*/}
case " ${MOESIM_LEAVE_OUT:-} " in
*" e2e "* | *" ${own%.sh} "*)
    echo "skipped: left out (MOESIM_LEAVE_OUT)"
    exit 77
    ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/moesim-e2e.XXXXXX")
trap 'rm -rf "$work"' EXIT
n_pass=0
n_fail=0
n_skip=0

# some QUICK FULL: words of which make check takes few, make check-full all
some() {
    [ -z "${MOESIM_FULL:-}" ] && echo "$1" || echo "$2"
}

pass() {
    n_pass=$((n_pass + 1))
    echo "pass: $*"
}

fail() {
    n_fail=$((n_fail + 1))
    echo "FAIL: $*"
}

# skip WHY: something cannot be tested here; an error where all must be
skip() {
    n_skip=$((n_skip + 1))
    echo "skipped: $*"
    [ "${MOESIM_REQUIRE_DATA:-0}" != 1 ] || fail "skipped: $*"
}

# expect STATUS COMMAND...: run, keep stdout and stderr, compare exit status
expect() {
    local want=$1 got=0
    shift
    "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || got=$?
    if [ "$got" -eq "$want" ]; then
        pass "exit $want: ${*##*/}"
    else
        fail "exit $got, expected $want: $*"
        head -n 20 "$work/stdout" "$work/stderr"
    fi
}

# says PATTERN: the last command's stderr matches, on exactly one line
says() {
    if [ "$(grep -cE -- "$1" "$work/stderr")" -eq 1 ]; then
        pass "says $1"
    else
        fail "does not say once: $1"
        head -n 20 "$work/stderr"
    fi
}

# ask REPORT EXPRESSION: value of a Python expression over the report r
ask() {
    "$PYTHON" -c '
import json, sys
r = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

# holds REPORT EXPRESSION: the expression is true
holds() {
    if [ "$(ask "$1" "bool($2)")" = True ]; then
        pass "$2"
    else
        fail "does not hold: $2"
    fi
}

# find_uses SCENARIO RANKS: sets the array uses: every method with every choice
# of its options. What refuses the layout is left out by name; two methods run.
find_uses() {
    local use all
    all=$("$MOESIM" list methods --json - |
        "$PYTHON" "$top_srcdir/tests/e2e/method_uses.py")
    uses=()
    while IFS= read -r use; do
        if "$MOESIM" run "$1" --ranks "$2" --set "methods=[$use]" \
            --print-scenario >/dev/null 2>"$work/refusal" </dev/null; then
            uses+=("$use")
        elif grep -q ' cannot run here: ' "$work/refusal"; then
            echo "left out: $use: $(cat "$work/refusal")"
        else
            fail "$use: $(cat "$work/refusal")"
        fi
    done <<<"$all"
    if [ "$(printf '%s\n' "${uses[@]}" | cut -d: -f1 | sort -u |
        wc -l)" -ge 2 ]; then
        pass "${#uses[@]} uses of methods on $2 ranks"
    else
        fail "fewer than two methods run on $2 ranks: ${uses[*]}"
    fi
}

# ranks_came FOLDER RANKS: waits for the processes of a run into a folder: the
# ranks, mpirun and who watches them
ranks_came() {
    local i
    for i in $(seq 200); do
        [ "$(pgrep -fc -- "-o $1\b")" -lt $(($2 + 2)) ] || return 0
        sleep 0.1
    done
    fail "$2 ranks did not come: $1"
}

# no_process_left NAME: nothing of ours still runs under a scratch folder
no_process_left() {
    local i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        if ! pgrep -f -- "$work" >"$work/left"; then
            pass "no process left"
            return
        fi
        sleep 0.3
    done
    fail "processes left: $(tr '\n' ' ' <"$work/left")"
}

finish() {
    echo "suite: $n_pass passed, $n_fail failed, $n_skip skipped"
    [ "$n_fail" -eq 0 ] && [ "$n_pass" -gt 0 ]
}
