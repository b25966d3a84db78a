#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The direction of includes.

base <- moe <- {ref, gpu, models} <- sim; reports <- base only. ref/mpi/ alone
includes mpi.h; a method includes moe/method.h and nothing else.
"""
import os
import re

import source_tree

# What a folder may include besides itself; the longest name that fits counts.
ARROWS = {
    "base": set(),
    "moe": {"base"},
    "ref": {"base", "moe"},
    "ref/mpi": {"base", "moe", "ref"},
    "gpu": {"base", "moe"},
    "models": {"base", "moe"},
    "reports": {"base"},
    "sim": {"base", "moe", "ref", "ref/mpi", "gpu", "models", "reports"},
    "tests": {"base", "moe", "ref", "ref/mpi", "gpu", "models", "reports",
              "sim", "sim/methods"},
    "sim/methods": {"base", "moe"},
}

# Which folders, and single files, may include a library's header. doctor tests
# the BLAS itself.
LIBRARIES = {
    r"mpi\.h": {"ref/mpi", "tests"},
    r"(cblas|openblas_config|f77blas)\.h": {"ref", "sim/doctor_blas_test.c",
                                          "tests"},
    r"(mpfr|gmp)\.h": {"ref", "tests"},
    r"yaml\.h": {"base", "tests"},
    r"jansson\.h": {"base", "ref/mpi", "reports", "sim", "tests"},
    r"(cuda.*|nccl|cublas.*)\.h": {"gpu"},
    r"check\.h": {"tests"},
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def folder_of(path):
    names = [name for name in ARROWS if path.startswith(name + "/")]
    return max(names, key=len) if names else None


def is_method(path):
    return (path.startswith("sim/methods/") and path.endswith(".c")
            and path != "sim/methods/registry.c")


def quoted(top, path, name):
    """What is wrong with #include "name" in path; None if nothing is."""
    if name == "config.h":
        return None
    if not os.path.isfile(os.path.join(top, name)):
        return f'"{name}" is no file of the tree, written from its top'
    mine, other = folder_of(path), folder_of(name)
    if path == "ref/moeref.h":
        return "the public header includes no other of ours"
    if other is None or (other != mine and other not in ARROWS[mine]
                         and not sim_and_methods(mine, other)):
        return f"{mine}/ must not include {other}/"
    return None


def sim_and_methods(mine, other):
    """sim/ uses the list of methods."""
    return mine == "sim" and other == "sim/methods"


def system(path, name):
    mine = folder_of(path)
    for pattern, folders in LIBRARIES.items():
        if re.fullmatch(pattern, name) and not {mine, path} & folders:
            return f"<{name}> belongs to {', '.join(sorted(folders))}"
    return None


def problems_of(top, path, text):
    for match in INCLUDE.finditer(text):
        bracket, name = match.groups()
        number = text.count("\n", 0, match.start()) + 1
        if is_method(path) and (bracket, name) != ('"', "moe/method.h"):
            why = "a method includes moe/method.h and nothing else"
        elif bracket == "<":
            why = system(path, name)
        else:
            why = quoted(top, path, name)
        if why is not None:
            yield f"{path}:{number}: {why}"


def main():
    top = source_tree.root()
    paths = source_tree.files(top, (".c", ".h", ".cu", ".cuh", ".def"))
    problems = [problem for path in paths for problem in
                problems_of(top, path, source_tree.read(top, path))]
    source_tree.finish("includes", len(paths), problems)


if __name__ == "__main__":
    main()
