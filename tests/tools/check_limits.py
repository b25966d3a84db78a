#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Size limits: file 400 lines, header 200, function 50, line 80 columns.

A function counts from the first line of its head to its closing brace; the
format test makes sure that both braces stand in the first column.
"""
import source_tree

FILE, HEADER, FUNCTION, LINE = 400, 200, 50, 80


def functions(lines):
    """(first line, number of lines, head) of each function, from 1."""
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
            while start > 0 and is_head(lines[start - 1]):
                start -= 1
        elif line.startswith("}") and start is not None:
            yield start + 1, i - start + 1, lines[start]
            start = None


def is_head(line):
    ends = ("", "}", "};")
    return line not in ends and not line.endswith(("*/", ";")) \
        and not line.startswith("#")


def problems_of(path, text):
    lines = text.splitlines()
    limit = HEADER if path.endswith((".h", ".cuh")) else FILE
    if len(lines) > limit:
        yield f"{path}: {len(lines)} lines, at most {limit}"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > LINE:
            yield f"{path}:{number}: {len(line)} columns, at most {LINE}"
    for number, size, head in functions(lines):
        if size > FUNCTION:
            yield f"{path}:{number}: {size} lines, at most {FUNCTION}: {head}"


def main():
    top = source_tree.root()
    paths = source_tree.files(top, (".c", ".h", ".cu", ".cuh"))
    problems = [problem for path in paths
                for problem in problems_of(path, source_tree.read(top, path))]
    source_tree.finish("limits", len(paths), problems)


if __name__ == "__main__":
    main()
