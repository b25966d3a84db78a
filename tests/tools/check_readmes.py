#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each folder has a README.md of about ten lines: purpose, the one way in,
what it must not include. So has each folder below it that holds C files or
scripts."""
import os

import source_tree


def folders(top):
    code = source_tree.files(top, (".c", ".h", ".py", ".sh"))
    return sorted({os.path.dirname(path) for path in code}
                  | {f for f in source_tree.FOLDERS + ("data",)
                     if os.path.isdir(os.path.join(top, f))})


def problems_of(top, folder):
    path = os.path.join(folder, "README.md")
    if not os.path.isfile(os.path.join(top, path)):
        yield f"{path}: missing"
        return
    text = source_tree.read(top, path)
    if not 5 <= len(text.splitlines()) <= 20:
        yield f"{path}: {len(text.splitlines())} lines, 5 to 20 expected"
    if "ne way in" not in text:
        yield f'{path}: does not name the "one way in"'


def main():
    top = source_tree.root()
    found = folders(top)
    problems = [p for folder in found for p in problems_of(top, folder)]
    source_tree.finish("readmes", len(found), problems)


if __name__ == "__main__":
    main()
