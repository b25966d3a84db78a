#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Open MPI's monitoring files with a report's pair_bytes.

pair_bytes.py FOLDER RANKS REPORT EMPTY: FOLDER holds full.R.prof and
empty.R.prof, written by --mca pml_monitoring_enable 2 for runs with and without
tokens, whose reports are REPORT and EMPTY. Rows that begin with C are bytes of
collectives: C from to "bytes" ... Counts that a plan exchanges are the same in
both runs.
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


def pair_bytes(report):
    return json.load(open(report))["methods"][0]["pair_bytes"]


def main():
    folder, ranks, report = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    full = collective_bytes(folder, "full", ranks)
    empty = collective_bytes(folder, "empty", ranks)
    want = pair_bytes(report)
    known = pair_bytes(sys.argv[4])
    moved = 0
    for s in range(ranks):
        for d in range(ranks):
            got = full[s][d] - empty[s][d]
            moved += got
            said = want[s][d] - known[s][d]
            if got != said:
                sys.exit("%d -> %d: monitoring %d bytes, report %d"
                         % (s, d, got, said))
    if moved == 0:
        sys.exit("nothing was moved: the test shows nothing")


main()
