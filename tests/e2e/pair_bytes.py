#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Open MPI's monitoring files with a report's pair_bytes.

pair_bytes.py FOLDER RANKS REPORTS: FOLDER holds full.R.prof and empty.R.prof,
written by --mca pml_monitoring_enable 2 for runs with and without tokens;
REPORTS holds out.full and out.empty, their report folders. Rows that begin
with C are bytes of collectives: C from to "bytes" ...

What both runs move is subtracted: moesim's own collectives, and the counts
that a plan exchanges ("agree" in the ledger), the one part of pair_bytes that
no token changes. Its value is that of the ledger, and what MPI carried it in
(a modelled int32 travels as 8 bytes) is taken from the bytes of the run
without tokens. What is then left is moesim's own and printed, if a plan
exchanged counts: the same for every method.
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
    """Bytes per pair of the plan's counts: modelled, and as MPI had them."""
    said = [[0] * ranks for _ in range(ranks)]
    moved = [[0] * ranks for _ in range(ranks)]
    for line in open(folder + "/ledger.jsonl"):
        call = json.loads(line)
        if call.get("op") != "agree":
            continue
        rows, mpi = call["send_rows"], call["mpi"]
        assert len(rows) == ranks and mpi["calls"] == 1, call
        parts = {"MPI_Allgather": 1, "MPI_Alltoall": ranks}
        for d in range(ranks):
            if d != call["rank"]:
                said[call["rank"]][d] += rows[d] * call["row_bytes"]
                moved[call["rank"]][d] += (mpi["bytes"] //
                                           parts[mpi["functions"][0]])
    return said, moved


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
    counts, carried = exchanged(reports + "/out.full", ranks)
    check(pair_bytes(reports + "/out.empty"), counts, "without tokens")
    check(exchanged(reports + "/out.empty", ranks)[1], carried, "counts")
    want = minus(pair_bytes(reports + "/out.full"), counts)
    check(want, minus(full, empty), "pair_bytes less counts")
    if not any(map(any, want)):
        sys.exit("nothing was moved: the test shows nothing")
    if any(map(any, counts)):
        own = minus(empty, carried)
        print(*{own[s][d] for s in range(ranks) for d in range(ranks)
                if s != d})


main()
