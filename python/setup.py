# SPDX-License-Identifier: Apache-2.0
"""Build of the package: the table of models from models/moe/, libmoeref, and
the table of reciprocals that the fast-rcp profiles read (data/README.md).

$MOESIM_BUILD names a folder in which moesim was configured and made; without
it the library is made here.
"""

import json
import lzma
import os
import pathlib
import shutil
import subprocess

import yaml
from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent


def models():
    """Every model by its name and by its aliases."""
    table = {}
    for path in sorted((TOP / "models" / "moe").glob("*.yaml")):
        model = yaml.safe_load(path.read_text())
        for name in [model["name"], *model.pop("aliases", [])]:
            table[name] = model
    return table


def make_library(folder):
    """libmoeref.so, made in a folder of its own."""
    folder = pathlib.Path(folder).resolve() / "moeref"
    folder.mkdir(parents=True, exist_ok=True)
    if not (TOP / "configure").exists():
        subprocess.run(["autoreconf", "-fi"], cwd=TOP, check=True)
    if not (folder / "Makefile").exists():
        subprocess.run([TOP / "configure", "-q"], cwd=folder, check=True)
    subprocess.run(["make", "-s", "libmoeref.la"], cwd=folder, check=True)
    return folder / ".libs" / "libmoeref.so"


class Build(build_py):
    """The package's files, and those that are made."""

    def run(self):
        super().run()
        target = pathlib.Path(self.build_lib) / "moesim"
        target.mkdir(parents=True, exist_ok=True)
        build = os.environ.get("MOESIM_BUILD")
        library = (pathlib.Path(build) / ".libs" / "libmoeref.so" if build
                   else make_library(self.get_finalized_command(
                       "build").build_temp))
        shutil.copy(library.resolve(), target / "libmoeref.so")
        table = TOP / "data" / "rcp_sm90.table.xz"
        (target / "rcp_sm90.table").write_bytes(lzma.open(table).read())
        (target / "models.json").write_text(json.dumps(models(), indent=1))


class Binary(Distribution):
    """A wheel of this machine's kind."""

    def has_ext_modules(self):
        return True


setup(cmdclass={"build_py": Build}, distclass=Binary)
