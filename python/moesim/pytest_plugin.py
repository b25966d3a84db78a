# SPDX-License-Identifier: Apache-2.0
"""pytest's --moesim-inject NAME: would these tests notice the mistake?

Every case of a test gets the mistake NAME of `moesim list diagnoses`, so that
its check() must fail with that diagnosis. A test whose check the mistake does
not touch - another format, an earlier stage - is skipped.
"""

import pytest

from moesim import _case

# the smallest case there is, to ask the library for its names
SMALLEST = {"hidden": 16, "intermediate": 16, "experts": 1, "topk": 1,
            "token_end": 1, "expert_end": 1}


def pytest_addoption(parser):
    parser.getgroup("moesim").addoption(
        "--moesim-inject", metavar="NAME",
        help="make this mistake in every moesim case: its check() must fail")


def pytest_configure(config):
    name = config.getoption("--moesim-inject")
    if name is None:
        return
    try:
        _case.Case({**SMALLEST, "inject": name})
    except _case.MoesimError as problem:
        raise pytest.UsageError(f"--moesim-inject: {problem}") from problem
    _case.injection = name


def pytest_unconfigure():
    _case.injection = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except _case.NoEffect as reason:
        pytest.skip(f"{item.name}: {reason}")
