# SPDX-License-Identifier: Apache-2.0
"""run_page.py PAGE.md: run a page's blocks of code, in the folder one is in.

A block "```python NAME" is the file NAME. A block "```sh" is run by bash and
must end with 0; a block "```text" after it is what it prints: each line must
be in the output, in this order, "..." standing for anything. Blocks of another
kind are an error, so that none is left out by a slip.
"""
import re
import subprocess
import sys

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)


def missing(expected, output):
    """The first expected line that is not in the output; None if all are."""
    lines = iter(output.splitlines())
    for want in filter(None, map(str.strip, expected.splitlines())):
        pattern = ".*".join(re.escape(p) for p in want.split("..."))
        if not any(re.search(pattern, line) for line in lines):
            return want
    return None


def run(kind, name, text, output):
    """Output of a block, None if it failed."""
    if kind == "python" and name:
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
        return ""
    if kind == "sh":
        done = subprocess.run(["bash", "-euc", text], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        print(f"FAIL: exit status {done.returncode}:\n{text}\n{done.stdout}")
        return None
    if kind == "text":
        want = missing(text, output)
        if want is None:
            return output
        print(f"FAIL: the page promises\n{want}\nbut it was\n{output}")
        return None
    print(f"FAIL: a block of {kind} {name or ''}")
    return None


def main(page):
    text = open(page, encoding="utf-8").read()
    blocks = BLOCK.findall(text)
    output = ""
    if len(blocks) * 2 != len(re.findall("^```", text, re.M)) or not blocks:
        sys.exit(f"FAIL: {page}: blocks without end or kind")
    for kind, name, body in blocks:
        output = run(kind, name, body, output)
        if output is None:
            sys.exit(1)
    print(f"pass: {len(blocks)} blocks of {page}")


main(sys.argv[1])
