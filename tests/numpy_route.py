#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Routing of 65,536 tokens over 256 experts in 8 groups, 4 kept, top-8 with a
bias, in float32, as SGLang's biased_grouped_topk does it: by PyTorch on the CPU
where that is at hand, else by numpy. Prints who it was and the median seconds
of CPU (of all threads). For tests/bench/bench_route."""

import statistics
import time

TOKENS, EXPERTS, GROUPS, KEPT, TOPK = 65536, 256, 8, 4, 8
REPEATS = 5

try:
    import torch
except ImportError:
    torch = None
    import numpy as np


def route_torch(logits, bias):
    score = logits.sigmoid()
    choice = score + bias
    grouped = choice.view(TOKENS, GROUPS, -1)
    group = grouped.topk(2, dim=-1).values.sum(dim=-1)
    kept = group.topk(KEPT, dim=-1, sorted=False).indices
    mask = torch.zeros_like(group).scatter_(1, kept, 1).bool()
    choice = grouped.masked_fill(~mask.unsqueeze(-1), float("-inf"))
    ids = choice.view(TOKENS, EXPERTS).topk(TOPK, dim=-1, sorted=False).indices
    weights = score.gather(1, ids)
    return ids, weights / weights.sum(dim=-1, keepdim=True) * 2.5


def route_numpy(logits, bias):
    score = 1 / (1 + np.exp(-logits))
    grouped = (score + bias).reshape(TOKENS, GROUPS, -1)
    group = np.partition(grouped, -2, axis=-1)[..., -2:].sum(-1)
    kept = np.argpartition(group, -KEPT, axis=-1)[:, -KEPT:]
    mask = np.zeros_like(group, bool)
    np.put_along_axis(mask, kept, True, 1)
    choice = np.where(mask[..., None], grouped, np.float32("-inf"))
    choice = choice.reshape(TOKENS, EXPERTS)
    ids = np.argpartition(choice, -TOPK, axis=-1)[:, -TOPK:]
    weights = np.take_along_axis(score, ids, 1)
    return ids, weights / weights.sum(-1, keepdims=True) * np.float32(2.5)


def inputs():
    if torch is not None:
        torch.manual_seed(1)
        return torch.randn(TOKENS, EXPERTS), torch.randn(EXPERTS) / 10
    draw = np.random.default_rng(1)
    return (draw.standard_normal((TOKENS, EXPERTS), np.float32),
            draw.standard_normal(EXPERTS, np.float32) / 10)


def main():
    route = route_numpy if torch is None else route_torch
    data = inputs()
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        route(*data)
        seconds.append(time.process_time() - start)
    print("numpy" if torch is None else "PyTorch", statistics.median(seconds))


if __name__ == "__main__":
    main()
