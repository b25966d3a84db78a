# SPDX-License-Identifier: Apache-2.0
"""A rank's share of one layer, in process."""

import ctypes
import json
import operator
import pathlib
import warnings

from moesim import _arrays, _given
from moesim._given import NAMES, STAGES
from moesim._library import (ERR_UNSUPPORTED, ERR_WRONG, OK, MoesimError,
                             Tensor, error, library, unknown)

# settings of a model that the library takes under the same name
MODEL_KEYS = ("hidden", "intermediate", "experts", "topk", "shared_experts",
              "n_group", "topk_group", "group_limit", "score", "bias",
              "renormalize", "routed_scaling", "activation", "gate_up",
              "expert_bias", "expert_scales", "weight_on_input")
TENSORS = (*STAGES[:-1], "w13", "w2", "router", "bias", "w13_bias", "w2_bias",
           "token", "slot", "expert")
TEXT_BYTES = 16384
injection = None  # of all cases that name no other; the pytest plugin sets it


def models():
    """Models by name: {name: keys of models/moe/<name>.yaml}."""
    path = pathlib.Path(__file__).with_name("models.json")
    return json.loads(path.read_text())


def _model(name):
    if isinstance(name, dict):
        known = (*MODEL_KEYS, "name", "source", "layers", "moe_layers")
        for key in name:
            if key not in known:
                raise unknown("model key", key, known)
        return name
    table = models()
    if name not in table:
        raise unknown("model", name, table)
    return table[name]


def _experts(count, ep, rank):
    """Contiguous blocks, the first ones one larger."""
    if not 0 <= rank < ep:
        raise MoesimError(f"rank {rank} of an ep group of {ep}")
    each, more = divmod(count, ep)
    first = rank * each + min(rank, more)
    return first, first + each + (rank < more)


def _is_bool(value):
    """Python's, numpy's or torch's."""
    return str(getattr(value, "dtype", type(value).__name__)) in (
        "bool", "torch.bool")


def _text(value):
    return str(bool(value)).lower() if _is_bool(value) else str(value)


def _whole(name, value, least=0):
    """An int of any whole number's type; bool is none."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if _is_bool(value) or number < least:
        raise MoesimError(
            f"{name}={value!r}, expected a whole number >= {least}")
    return number


class NoEffect(MoesimError):
    """A mistake that was to be made changes nothing that is checked."""


class Case:
    """Tensors are attributes: x, topk_ids, topk_weights, w13, w2, dispatch,
    expert_in, gemm1_out, act_out, gemm2_in, gemm2_out, combine, output, router,
    bias (of the router), w13_bias, w2_bias (of the experts),
    token, slot, expert; scales of NAME are NAME_scale, its exact factor is
    NAME_decode (an array where a model has expert_scales), bounds are
    NAME_abs, of the chain's. Made when first wanted, never copied."""

    def __init__(self, settings, framework="numpy"):
        text = " ".join(f"{k}={_text(v)}" for k, v in settings.items())
        self.settings = dict(settings)
        self.framework = framework
        self._handle = library.moeref_case_new(text.encode())
        if not self._handle:
            raise error()

    def __dir__(self):
        return [*super().__dir__(), *TENSORS]

    def __del__(self):
        if getattr(self, "_handle", None):
            library.moeref_case_free(self._handle)
            self._handle = None

    def __repr__(self):
        return f"moesim.Case({self.settings})"

    @property
    def local_experts(self):
        """Global numbers of this rank's experts, as a range."""
        return range(self.settings["expert_begin"],
                     self.settings["expert_end"])

    def _tensor(self, name):
        tensor = Tensor()
        if library.moeref_case_tensor(self._handle, name.encode(),
                                      ctypes.byref(tensor)) != OK:
            raise error()
        if tensor.dtype.decode() not in _arrays.ELEMENTS:
            raise MoesimError(f"{name} is {tensor.dtype.decode()}, which is no "
                              "type of an array's elements")
        return tensor

    def _shape(self, name, tensor, last):
        if name in ("w13", "w2"):
            count = len(self.local_experts)
            return (count, tensor.rows // max(count, 1), last)
        if name in ("token", "slot", "expert", "w13.decode", "w2.decode"):
            return (tensor.rows,)
        return (last,) if name == "bias" else (tensor.rows, last)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        base, _, part = name.rpartition("_")
        try:
            if part == "abs" and base:
                return self._view(NAMES.get(base, base) + ".abs")
            if part == "scale" and base:
                return self._view(NAMES.get(base, base), scales=True)
            if part == "bias" and base:
                return self._view(base + ".bias")
            if part == "decode" and base:
                return self._decode(NAMES.get(base, base))
            return self._view(NAMES.get(name, name))
        except MoesimError as problem:
            raise AttributeError(str(problem)) from problem

    def _decode(self, name):
        """One number, or one an expert where these have their own."""
        scale = self._tensor(name).decode_scale
        if scale == 0.0 and name in ("w13", "w2"):
            return self._view(name + ".decode")
        return scale

    def _view(self, name, scales=False):
        tensor = self._tensor(name)
        if not scales:
            return _arrays.view(tensor.data, tensor.dtype.decode(),
                                self._shape(name, tensor, tensor.cols), self,
                                self.framework)
        if tensor.scale_dtype is None:
            raise MoesimError(f"{name} is {tensor.dtype.decode()}, which has "
                              "no scales")
        return _arrays.view(tensor.scales, tensor.scale_dtype.decode(),
                            self._shape(name, tensor, tensor.blocks), self,
                            self.framework)

    def _read(self, stages, notes):
        """What the library takes, with the arrays behind it, of each stage."""
        given = []
        for name, value in stages.items():
            want = self._tensor(name)
            free = "topk_ids" in stages and name in _given.OF_PAIRS
            given.append(_given.read(name, want, value,
                                     None if free else want.rows, notes))
        return given

    def check(self, out, stage="combine", **more):
        """Judge a kernel's tensor of a stage: AssertionError if it is wrong,
        with the verdict and what the mistake looks like.

        More stages may be given by name; each is then judged from the one
        before it that is given. Tensors with scales are (codes, scales).
        Returns the judge's text. In a case with a mistake to inject, what is
        given is replaced, from the mistake's stage on, by what the reference
        computes with it: NoEffect if that is the same."""
        __tracebackhide__ = True  # pytest shows the line of the test
        stages = _given.name_stages(out, stage, more)
        notes = []
        given = self._read(stages, notes)
        names = (ctypes.c_char_p * len(given))(
            *[name.encode() for name in stages])
        # arrays of `given` live until the call is over
        tensors = (Tensor * len(given))(*[tensor for tensor, _ in given])
        text = ctypes.create_string_buffer(TEXT_BYTES)
        status = library.moeref_case_check(self._handle, names, tensors,
                                           len(given), text, TEXT_BYTES)
        said = text.value.decode().rstrip("\n")
        if status == ERR_WRONG:
            raise AssertionError(
                f"{said}{''.join(notes)}\ncase: {self.settings}")
        if status == ERR_UNSUPPORTED and "inject" in self.settings:
            raise NoEffect(str(error()))
        if status != OK:
            raise error()
        if "inject" in self.settings:
            warnings.warn(f"{self.settings['inject']} was made in what check() "
                          f"got, and found within the bounds", stacklevel=2)
        return said


def case(model, tokens, ep=1, rank=0, dispatch="bf16", profile=None, seed=0,
         data="normal", framework="numpy", inject=None, **settings):
    """A rank's share of a layer: `tokens` tokens, all of which it sees, and
    the experts of `rank` in an ep group of `ep`.

    model       name or alias of a model file, or a dict of its keys
    dispatch    format of rows on the way to the experts
    profile     of quantisers: a profile's name, or a system's (vllm, ...)
    data        "normal": realistic values; "grid": small integers, exact in
                any order; "stamp": rows tell which token they are; "identity":
                experts return their input
    framework   "numpy" or "torch": what tensors are given as
    inject      a mistake of `moesim list diagnoses` that check() makes in what
                it is given, so that it must fail; pytest's --moesim-inject
    settings    formats of the chain - hidden_format, expert_in, gemm1_out,
                act_out, gemm2_in, gemm2_out, combine, output, weights -, as
                in `moesim list formats`; keys of a model that differ
    """
    keys = _model(model)
    wanted = {k: keys[k] for k in MODEL_KEYS if k in keys}
    if "experts" not in wanted:
        raise MoesimError("model: experts must be given")
    first, end = _experts(int(wanted["experts"]), _whole("ep", ep, 1),
                          _whole("rank", rank))
    wanted.update(token_end=_whole("tokens", tokens), expert_begin=first,
                  expert_end=end, dispatch=dispatch, seed=_whole("seed", seed))
    wanted["data"] = data
    if profile is not None:
        wanted["profile"] = profile
    if inject is not None or injection is not None:
        wanted["inject"] = inject if inject is not None else injection
    wanted.update(settings)
    if framework not in ("numpy", "torch"):
        raise MoesimError(f"framework {framework!r}, expected numpy or torch")
    return Case(wanted, framework)
