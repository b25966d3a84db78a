#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make check-full: the seed scenarios at their true size, and their bytes.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
seeds=$top_srcdir/scenarios/seeds

# the layer of DeepSeek-R1: all bits are the oracle's, on 1, 2, 4, 8 ranks
for name in sglang-7667 sglang-7667-decode; do
    for ranks in 8 4 2 1; do
        out=$work/$name.$ranks
        expect 0 "$MOESIM" run "$seeds/$name.yaml" --ranks "$ranks" --quiet \
            -o "$out"
        holds "$out/report.json" "all(m['bit_identical_to_oracle'] and
            m['tokens_checked'] >= 64 and m['max_ulp'] == 0
            for m in r['methods'])"
        holds "$out/report.json" "r['peak_rss_bytes'] <= 4 << 30"
        ask "$out/report.json" "[m['output_digest'] for m in r['methods']]" \
            >"$work/digest"
        [ "$ranks" -lt 8 ] || cp "$work/digest" "$work/first"
        cmp -s "$work/digest" "$work/first" && pass "$name: same bits" ||
            fail "$name: other bits on $ranks ranks"
    done
done

# 60 s on 2 cores, in seconds of processors; the first word within 10 s
if [ -z "${ASAN_OPTIONS:-}" ]; then
    "$PYTHON" - "$MOESIM" "$seeds/sglang-7667.yaml" "$work/timed" <<'P' &&
import resource
import subprocess
import sys
import time
program, scenario, folder = sys.argv[1:]
begin = time.monotonic()
run = subprocess.Popen([program, "run", scenario, "-o", folder],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
assert run.stdout.readline()
first = time.monotonic() - begin
run.stdout.read()
assert run.wait() == 0
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = used.ru_utime + used.ru_stime
print(f"first line after {first:.1f} s; {seconds:.1f} s of processors")
assert first < 10 and seconds < 120
P
        pass "in time" || fail "not in time"
fi

# 1024 tokens a rank, no experts: payload of meta, of what was executed and of
# the formula are equal (a run fails if not), wire by ring
comm() {
    expect 0 "$MOESIM" run "$seeds/sglang-7667.yaml" --tokens 1024 \
        --stages comm --numerics faithful --phase "$1" --quiet -o "$work/$1"
}
sent() {
    echo "all(s == $2 for s in
        r['methods'][$1]['by_stage']['$3']['wire_sent_bytes'])"
}
comm prefill
holds "$work/prefill/report.json" "$(sent 0 205520896 prepare)"
holds "$work/prefill/report.json" "$(sent 0 205520896 finalize)"
holds "$work/prefill/report.json" "$(sent 1 29360128 prepare)"
holds "$work/prefill/report.json" "$(sent 1 102760448 finalize)"
comm decode
holds "$work/decode/report.json" "$(sent 0 102760448 prepare)"
holds "$work/decode/report.json" "$(sent 0 205520896 finalize)"
for phase in prefill decode; do
    holds "$work/$phase/report.json" "all(abs(p - q) <= 0.15 * q
        for p, q in zip(r['memory']['predicted_bytes'],
                        r['memory']['peak_bytes']) if q > 256 << 20)"
    "$PYTHON" - "$work/$phase" <<'P' && pass "ledger is report" || fail ledger
import collections
import json
import sys
report = json.load(open(sys.argv[1] + "/report.json"))
sums = collections.Counter()
for line in open(sys.argv[1] + "/ledger.jsonl"):
    call = json.loads(line)
    sums[call["method"], call["stage"], call["rank"]] += call["payload"]
for method in report["methods"]:
    for stage, of in method["by_stage"].items():
        for rank, payload in enumerate(of["payload_bytes"]):
            got = sums[method["label"], stage, rank]
            assert got == payload, (method["label"], stage, rank, got)
P
done
finish
