#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# select: one of the methods runs, the report says which and why, and it is
# the one that price names.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml
ascend="--method ascend_allgather,alltoallv --machine atlas-a3"
cd "$work"

# auto runs the cheapest of what price ranks, alone
expect 0 "$MOESIM" run "$tiny" --ranks 2 --quiet --machine dgx-h100 \
    --method all --dispatch nvfp4 --select auto -o auto
holds auto/report.json "len(r['methods']) == 1 and
    r['methods'][0]['bit_identical_to_oracle']"
holds auto/report.json "r['selection']['chosen'] == r['methods'][0]['label'] ==
    r['selection']['ranking'][0]['label'] and
    len(r['selection']['ranking']) > 1"
holds auto/report.json "[p['predicted_us'] for p in r['selection']['ranking']]
    == sorted(p['predicted_us'] for p in r['selection']['ranking'])"
expect 0 "$top_builddir/tests/report_judge" auto/report.json
grep -q 'select auto: .*margin' auto/report.md && pass "in report.md" ||
    fail "not in report.md"

# a rule takes what its text says, whatever is cheaper; above 512 tokens on one
# rank every rank takes the all-to-all, on A3
sweep='{workload.tokens: [[513, 1], [512, 512]]}'
expect 0 "$MOESIM" price "$tiny" $ascend --select ascend-2614 \
    --set layout.dp=2 --set 'workload.tokens=[1, 1]' --set sweep="$sweep" --json rule.json
holds rule.json "[p['selection']['chosen'] for p in r['sweep']][0] ==
    'alltoallv'"
holds rule.json "'takes mc2' in r['sweep'][1]['selection']['reason']"
expect 0 "$top_builddir/tests/report_judge" rule.json
expect 0 "$MOESIM" run "$tiny" --ranks 2 --quiet $ascend --select ascend-2125 \
    -o rule
holds rule/report.json "[m['label'] for m in r['methods']] ==
    ['ascend_allgather'] and r['selection']['rule'] == 'ascend-2125'"

# what a rule takes and the scenario has not: no run
expect 2 "$MOESIM" run "$tiny" --ranks 2 --quiet $ascend --select ascend-2469 \
    -o none
says 'select ascend-2469 takes mc2'
[ ! -e none/report.json ] && pass "no report" || fail "a report of no run"

finish
