#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Open MPI's monitoring files with a report's pair_bytes.

pair_bytes.py FOLDER RANKS REPORTS: FOLDER holds full.R.prof and empty.R.prof,
written by --mca pml_monitoring_enable 2 for runs with and without tokens;
REPORTS holds out.full and out.empty, their report folders. Rows that begin
with C are bytes of collectives: C from to "bytes" ...

What both runs move is subtracted: moesim's own collectives, and the counts
that a plan exchanges ("agree" in the ledger), the one part of pair_bytes that
no token changes. That part is exempt from the witness: it must be what the
ledger says of the exchange, the same in both runs, and all that the run without
tokens has in pair_bytes.
"""
import glob
import json
import sys


def collective_bytes(folder, name, ranks):
    pairs = [[0] * ranks for _ in range(ranks)]
    files = glob.glob("%s/%s.*.prof" % (folder, name))
    assert len(files) == ranks, (name, files)
    for path in files:
        for line in open(path):
            word = line.split()
            if word and word[0] == "C":
                pairs[int(word[1])][int(word[2])] += int(word[3])
    return pairs


def pair_bytes(folder):
    report = json.load(open(folder + "/report.json"))
    return report["methods"][0]["pair_bytes"]


def exchanged(folder, ranks):
    """Bytes per pair of the counts that a plan exchanges."""
    pairs = [[0] * ranks for _ in range(ranks)]
    for line in open(folder + "/ledger.jsonl"):
        call = json.loads(line)
        if call.get("op") != "agree":
            continue
        rows = call["send_rows"]
        assert len(rows) == ranks, call
        for d in range(ranks):
            if d != call["rank"]:
                pairs[call["rank"]][d] += rows[d] * call["row_bytes"]
    return pairs


def check(pairs, want, what):
    for s, row in enumerate(pairs):
        for d, got in enumerate(row):
            if got != want[s][d]:
                sys.exit("%s, %d -> %d: %d bytes, expected %d"
                         % (what, s, d, got, want[s][d]))


def minus(a, b):
    return [[x - y for x, y in zip(*rows)] for rows in zip(a, b)]


def main():
    folder, ranks, reports = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    full = collective_bytes(folder, "full", ranks)
    empty = collective_bytes(folder, "empty", ranks)
    counts = exchanged(reports + "/out.full", ranks)
    check(exchanged(reports + "/out.empty", ranks), counts, "counts")
    check(pair_bytes(reports + "/out.empty"), counts, "without tokens")
    want = minus(pair_bytes(reports + "/out.full"), counts)
    check(want, minus(full, empty), "pair_bytes less counts")
    if not any(map(any, want)):
        sys.exit("nothing was moved: the test shows nothing")


main()
