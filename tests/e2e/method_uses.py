#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every method with every choice of every option, a YAML map a line: one
option at a time, beside the others' defaults.

Reads what `moesim list methods --json -` prints from stdin. combine stays at
its default: what it is quantised to is a rounding point of its own; so do the
orders of sums, which numerics exact has none of, and what a gate with capacity
changes in what is computed: tests/e2e/capacity.sh has those. What a library is
compiled for (limits) is lifted, and with it the generation of chips (soc)
whose limits they are.
"""
import json
import sys


GATE = ("drop", "capacity", "gate", "combine_path", "expert_group")
DROPS = ("bin",)  # what it leaves out depends on the ranks: capacity.sh has it


def uses(method):
    """Maps {method: {option: choice}}, each once."""
    options = {o["key"]: o for o in method["options"]
               if o["choices"] and o["key"] != "combine" and
               o["key"] not in GATE and
               not o["key"].endswith("_order")}
    lifted = {"limits": "off"} if "limits" in options else {}
    options.pop("limits", None)
    options.pop("soc", None)
    base = {}
    for key, o in options.items():
        words = o["choices"].split()
        base[key] = o["default"] if o["default"] in words else words[0]
    maps = [base] + [{**base, key: word} for key, o in options.items()
                     for word in o["choices"].split() if word not in DROPS]
    for chosen in maps:
        text = ", ".join("%s: %s" % c for c in {**lifted, **chosen}.items())
        yield "{%s: {%s}}" % (method["name"], text)


def main():
    for method in json.load(sys.stdin)["items"]:
        for use in dict.fromkeys(uses(method)):
            print(use)


main()
