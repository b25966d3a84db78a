#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every method with each of its dispatch formats, as one YAML list.

Reads what `moesim list methods --json -` prints from stdin. Limits of a
library's build are off. A method that computes nothing is left out, and the one
whose gate drops rows: capacity.sh has it.
"""
import json
import sys


def uses(method):
    """Maps {method: {option: choice}}."""
    options = {o["key"]: o["choices"].split() for o in method["options"]}
    rest = ["limits: off"] if "limits" in options else []
    for word in options.get("dispatch", [None]):
        chosen = ["dispatch: " + word] if word else []
        yield "{%s: {%s}}" % (method["name"], ", ".join(chosen + rest))


def main():
    items = json.load(sys.stdin)["items"]
    print("[%s]" % ", ".join(use for method in items
                             if method["weighted"] != "nowhere" and
                             method["name"] != "capacity_alltoall"
                             for use in uses(method)))


main()
