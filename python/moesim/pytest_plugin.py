# SPDX-License-Identifier: Apache-2.0
"""pytest --moesim-inject NAME: every case judges as if the kernel under test
had made the mistake NAME (`moesim list diagnoses`), so that its tests must
fail. Workers of pytest-xdist inherit it."""

import os


def pytest_addoption(parser):
    parser.getgroup("moesim").addoption(
        "--moesim-inject", metavar="NAME", default=None,
        help="a kernel's mistake that every moesim.case() makes")


def pytest_configure(config):
    name = config.getoption("--moesim-inject")
    if name:
        os.environ["MOESIM_INJECT"] = name
