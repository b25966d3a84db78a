# SPDX-License-Identifier: Apache-2.0
"""The files of a source tree that the house tests look at."""
import os
import sys

FOLDERS = ("base", "moe", "ref", "gpu", "models", "reports", "sim",
           "scenarios", "tests", "doc")
C_FOLDERS = ("base", "moe", "ref", "gpu", "models", "reports", "sim", "tests")


def root():
    """First argument, else $top_srcdir, else the tree this file is in."""
    here = os.path.dirname(os.path.abspath(__file__))
    default = os.environ.get("top_srcdir", os.path.join(here, "..", ".."))
    return os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else default)


def files(top, endings, folders=C_FOLDERS):
    """Paths from top of the files with one of some endings, sorted."""
    found = []
    for folder in folders:
        for where, _, names in os.walk(os.path.join(top, folder)):
            found += [os.path.relpath(os.path.join(where, name), top)
                      for name in names if name.endswith(endings)]
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as stream:
        return stream.read()


def finish(what, n_files, problems):
    """Print the problems, and end with 1 if there are any or no files."""
    for problem in problems:
        print(problem)
    print(f"{what}: {n_files} files, {len(problems)} problems")
    sys.exit(1 if problems or n_files == 0 else 0)
