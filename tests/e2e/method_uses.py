#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every method with every choice of every option, a YAML map a line.

Reads what `moesim list methods --json -` prints from stdin. combine stays at
its default: what it is quantised to is a rounding point of its own; so do the
orders of sums, which numerics exact has none of.
"""
import itertools
import json
import sys


def uses(method):
    """Maps {method: {option: choice}}, all combinations."""
    options = [o for o in method["options"]
               if o["choices"] and o["key"] != "combine" and
               not o["key"].endswith("_order")]
    for words in itertools.product(*(o["choices"].split() for o in options)):
        chosen = ", ".join("%s: %s" % (o["key"], word)
                           for o, word in zip(options, words))
        yield "{%s: {%s}}" % (method["name"], chosen)


def main():
    for method in json.load(sys.stdin)["items"]:
        for use in uses(method):
            print(use)


main()
