#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house tests notice what they are there for: each is run on a small tree
that is good, then on the same tree with one fault."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

GOOD = {
    "base/a.h": "int a(void);\n",
    "base/README.md": "# base\n\nText.\n\nOne way in: a.h\n",
    "moe/method.h": '#include "base/a.h"\n#include <stdint.h>\n',
    "ref/a.h": "int a;\n",
    "ref/formats.h": "int f;\n",
    "ref/oracle.h": '#include "ref/formats.h"\n',
    "ref/oracle_a.h": '#include "ref/oracle.h"\n',
    "ref/README.md": "# ref\n\nText.\n\nOne way in: moeref.h\n",
    "moe/README.md": "# moe\n\nText.\n\nOne way in: method.h\n",
    "sim/methods/m.c": '#include "moe/method.h"\n\nint m(void)\n{\n}\n',
    "sim/methods/README.md": "# m\n\nText.\n\nOne way in: registry.h\n",
    "sim/README.md": "# sim\n\nText.\n\nOne way in: moesim\n",
}

# script, file, content
FAULTS = [
    ("check_includes.py", "base/a.h", '#include "moe/method.h"\n'),
    ("check_includes.py", "moe/b.c", "#include <mpi.h>\n"),
    ("check_includes.py", "moe/b.c", '# include "sim/x.h"\n'),
    ("check_includes.py", "moe/b.c", '#include "method.h"\n'),
    ("check_includes.py", "ref/b.c", "#include <yaml.h>\n"),
    ("check_includes.py", "sim/methods/m.c", "#include <stdio.h>\n"),
    ("check_includes.py", "sim/data/a.c", '#include "sim/run/job.h"\n'),
    ("check_includes.py", "reports/b.c", '#include "moe/method.h"\n'),
    ("check_includes.py", "ref/oracle_a.c", '#include "ref/a.h"\n'),
    ("check_includes.py", "ref/a.c", '#include "ref/oracle_a.h"\n'),
    ("check_includes.py", "ref/a.c", '#include "ref/oracle.h"\n'),
    ("check_limits.py", "base/a.h", "int x;\n" * 201),
    ("check_limits.py", "base/a.c", "int x;\n" * 401),
    ("check_limits.py", "base/a.c", "int " + "x" * 77 + ";\n"),
    ("check_limits.py", "base/a.c",
     "int x;\n\nint f(int a,\n      int b)\n{\n" + "    a;\n" * 47 + "}\n"),
    ("check_readmes.py", "gpu/a.c", "int x;\n"),
    ("check_readmes.py", "tests/e2e/a.sh", "true\n"),
    ("check_readmes.py", "base/README.md", "# base\n\nOne way in: a.h\n"),
]


def status(script, tree):
    """Exit status of a script on a tree of files."""
    with tempfile.TemporaryDirectory() as top:
        for path, text in tree.items():
            full = os.path.join(top, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as stream:
                stream.write(text)
        done = subprocess.run([sys.executable, os.path.join(HERE, script),
                               top], stdout=subprocess.DEVNULL, check=False)
        return done.returncode


def main():
    failed = 0
    for script in sorted({fault[0] for fault in FAULTS}):
        if status(script, GOOD) != 0:
            print(f"{script}: refuses a good tree")
            failed += 1
    for script, path, text in FAULTS:
        if status(script, {**GOOD, path: text}) != 1:
            print(f"{script}: does not notice {path}: {text[:40]!r}")
            failed += 1
    print(f"house: {len(FAULTS)} faults, {failed} problems")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
