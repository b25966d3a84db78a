# SPDX-License-Identifier: Apache-2.0
"""Reference of a Mixture-of-Experts layer, bit for bit, for tests of kernels.

    case = moesim.case("deepseek-v3", tokens=64, ep=8, rank=3,
                       dispatch="nvfp4", seed=0)
    out = my_kernel(case.x, case.topk_ids, case.topk_weights, case.w13, case.w2)
    case.check(out, stage="combine")
"""

from moesim._case import Case, NoEffect, case, models
from moesim._files import load, save
from moesim._library import MoesimError, version

__all__ = ["Case", "MoesimError", "NoEffect", "case", "load", "models", "save",
           "version"]
__version__ = version()
