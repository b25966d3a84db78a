# SPDX-License-Identifier: Apache-2.0
"""What check() takes: a stage's whole shape, in any layout and byte order."""

import numpy
import pytest

import moesim
from moesim import _given
from test_case import SMALL, bf16

STAGES = [stage for stage in _given.STAGES if stage != "output"]
FORMATS = ["bf16", "fp8_1x128", "fp8_tensor", "mxfp8", "mxfp4", "nvfp4",
           "int8_token"]


def stage_of(case, stage):
    """(array, scales or none) of a stage, copied."""
    array = numpy.array(getattr(case, stage))
    return array, getattr(case, stage + "_scale", None)


def value_of(array, scales):
    return array if scales is None else (array, scales)


def check_refused(case, value, stage, told, kind=ValueError):
    with pytest.raises(kind) as refused:
        case.check(value, stage=stage)
    assert told in str(refused.value)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_two_dimensions_of_the_right_size(stage):
    case = moesim.case(SMALL, tokens=8, dispatch="nvfp4")
    array, scales = stage_of(case, stage)
    rows, cols = array.shape
    case.check(value_of(array, scales), stage=stage)
    for wrong in (array.reshape(-1), array[..., None], array[None],
                  numpy.repeat(array[..., None], 4, -1),
                  array.reshape(rows, cols // 2, 2), array[0, 0, ...],
                  numpy.zeros((rows, cols, 0), array.dtype),
                  numpy.zeros((rows, 0), array.dtype), array[:-1],
                  numpy.zeros((0, cols), array.dtype), array[:, :-1], array.T,
                  numpy.zeros((rows, 2 * cols), array.dtype)):
        if wrong.shape != array.shape:
            check_refused(case, value_of(wrong, scales), stage, f"of shape "
                          f"{wrong.shape}, expected {array.shape}")


@pytest.mark.parametrize("dispatch", FORMATS)
def test_scales_have_two_dimensions_of_the_right_size(dispatch):
    case = moesim.case(SMALL, tokens=8, dispatch=dispatch)
    codes, scales = stage_of(case, "expert_in")
    case.check(value_of(codes, scales), stage="expert_in")
    if scales is None:
        return
    for wrong in (scales.reshape(-1), scales[..., None], scales[:0],
                  scales[..., :0], numpy.zeros((*scales.shape, 0), "uint8"),
                  scales.reshape(-1)[0]):
        check_refused(case, (codes, wrong), "expert_in",
                      f"of shape {numpy.shape(wrong)}, expected ", TypeError)
        check_refused(case, (codes, wrong), "expert_in",
                      f"of shape {scales.shape}", TypeError)


@pytest.mark.parametrize("dispatch", FORMATS)
def test_codes_alone_are_told_what_scales_to_come_with(dispatch):
    case = moesim.case(SMALL, tokens=8, dispatch=dispatch)
    codes, scales = stage_of(case, "expert_in")
    if scales is None:
        return
    for value in (codes, (codes, None)):
        check_refused(case, value, "expert_in", "expected (codes, scales) with",
                      TypeError)
        check_refused(case, value, "expert_in",
                      f"scales of shape {scales.shape}", TypeError)
    check_refused(case, (codes, scales, scales), "expert_in", "a tuple of 3",
                  TypeError)


def test_two_codes_a_byte_are_told_where_one_was_given():
    case = moesim.case(SMALL, tokens=8, dispatch="nvfp4")
    both = numpy.stack([case.dispatch & 15, case.dispatch >> 4], -1)
    check_refused(case, (both.reshape(8, -1), case.dispatch_scale), "dispatch",
                  "(8, 256), expected (8, 128), two codes a byte")
    check_refused(case, numpy.zeros((8, 256), "f4"), "dispatch",
                  "elements are fp32, expected e2m1")


def test_rows_of_pairs_are_those_of_the_ids_that_are_given():
    case = moesim.case(SMALL, tokens=8, ep=2)
    ids = numpy.array(case.topk_ids)
    ids[:, 0], ids[:, 1] = 1, 2
    with pytest.raises(AssertionError, match="topk_ids: wrong"):
        case.check(ids, stage="topk_ids",
                   gemm1_out=numpy.zeros((16, 256), "f4"))
    for shape, told in [((15, 256), "expected 16 x 256"),
                        ((16, 255), r"expected \(rows, 256\)"),
                        ((16, 256, 0), r"expected \(rows, 256\)")]:
        with pytest.raises(ValueError, match=told):
            case.check(ids, stage="topk_ids",
                       gemm1_out=numpy.zeros(shape, "f4"))


def test_a_rank_without_pairs_has_stages_without_rows():
    ranks = [moesim.case(SMALL, tokens=1, ep=8, rank=r) for r in range(8)]
    case = next(case for case in ranks if len(case.gemm1_out) == 0)
    case.check(numpy.zeros((0, 256), "f4"), stage="gemm1_out")
    check_refused(case, numpy.zeros((1, 256), "f4"), "gemm1_out",
                  "expected (0, 256)")
    check_refused(case, numpy.zeros(0, "f4"), "gemm1_out", "shape (0,)")


def test_no_address_is_told_of_fewer_bytes_than_are_read():
    array = numpy.zeros(24, numpy.uint8)
    assert _given.address("x", "fp32", array, (2, 3)) == array.ctypes.data
    assert _given.address("x", "e2m1", array, (2, 12)) == array.ctypes.data
    for element, shape in [("fp32", (3, 3)), ("e2m1", (2, 13)), ("i64", (1,))]:
        with pytest.raises(moesim.MoesimError, match="24 bytes, expected "):
            _given.address("x", element, array, shape)


def other_order(array):
    return array.astype(array.dtype.newbyteorder())


def unaligned(array):
    raw = numpy.empty(array.nbytes + 1, numpy.uint8)
    raw[1:] = array.reshape(-1).view(numpy.uint8)
    return raw[1:].view(array.dtype).reshape(array.shape)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "byte order": other_order,
    "columns first": numpy.asfortranarray,
    "transposed": lambda a: a.T.copy().T,
    "every second": lambda a: numpy.repeat(numpy.repeat(a, 2, 0), 3, 1)[
        ::2, ::3],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "a part": lambda a: numpy.pad(a.view(f"u{a.itemsize}"), 3)[
        3:-3, 3:-3].view(a.dtype),
    "other order, transposed": lambda a: other_order(a.T.copy()).T,
    "unaligned": unaligned,
    "read-only": read_only,
}


@pytest.mark.parametrize("change", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("stage", STAGES)
def test_an_array_is_judged_alike_in_every_layout(stage, change):
    case = moesim.case(SMALL, tokens=8, dispatch="nvfp4")
    array, scales = stage_of(case, stage)
    bad = array.copy()
    bad[1, 0] = array[1, 1] if array[1, 0] != array[1, 1] else array[0, 0]
    bad[2] = array[3]
    if scales is not None:
        scales = change(numpy.array(scales))
    case.check(value_of(change(array), scales), stage=stage)
    said = []
    for wrong in (bad, change(bad)):
        with pytest.raises(AssertionError) as told:
            case.check(value_of(wrong, scales), stage=stage)
        said.append(str(told.value))
    assert said[0] == said[1]
    assert (array == numpy.array(getattr(case, stage))).all()


@pytest.mark.parametrize("kind", [">f8", ">f4", ">f2", "<f8", "<f4", "<f2"])
def test_numbers_are_the_same_in_either_byte_order(kind):
    case = moesim.case(SMALL, tokens=8)
    good = bf16(case.combine).astype(kind)
    assert "0 outside the likely one" in case.check(good)
    good[1] = good[2]
    with pytest.raises(AssertionError, match="only token 1"):
        case.check(good)


def test_ids_and_scales_are_the_same_in_either_byte_order():
    case = moesim.case(SMALL, tokens=8, dispatch="fp8_1x128")
    for kind in (">i4", ">i8", "<i4", "<i8"):
        case.check(case.topk_ids.astype(kind), stage="topk_ids")
    codes, scales = stage_of(case, "dispatch")
    assert scales.dtype == numpy.float32
    case.check((codes, scales.astype(">f4")), stage="dispatch")


def test_files_have_one_byte_order_and_every_shape(tmp_path):
    path = tmp_path / "x.safetensors"
    array = numpy.arange(6, dtype="f4").reshape(2, 3)
    moesim.save(path, {"a": array.astype(">f4"), "b": array.T,
                       "c": numpy.float32(7)})
    read = moesim.load(path)
    assert (read["a"] == array).all() and (read["b"] == array.T).all()
    assert read["c"].shape == () and read["c"] == 7


def test_an_injection_leaves_the_callers_arrays_alone():
    case = moesim.case(SMALL, tokens=8, inject="reduced-twice")
    given = read_only(numpy.array(case.combine))
    with pytest.raises(AssertionError, match="reduced-twice"):
        case.check(given)
    assert (given == numpy.array(case.combine)).all()


def test_lists_of_what_is_no_number_are_refused_by_type():
    case = moesim.case(SMALL, tokens=8)
    case.check(bf16(case.combine).tolist())
    check_refused(case, [["a"]], "combine", "elements of type <U1", TypeError)


@pytest.mark.parametrize("stage, told", [
    ("combin", "did you mean combine?"), ("gemm1", "did you mean gemm1_out?"),
    ("w13", "expected one of x logits topk_ids"),
    ("", "expected one of x logits topk_ids")])
def test_an_unknown_stage_is_told_the_known_ones(stage, told):
    case = moesim.case(SMALL, tokens=8)
    check_refused(case, case.combine, stage, f"stage '{stage}' is unknown")
    check_refused(case, case.combine, stage, told)
    with pytest.raises(ValueError, match="is unknown"):
        case.check(case.combine, **{stage: case.combine})


def test_a_stage_is_named_and_given_once():
    case = moesim.case(SMALL, tokens=8)
    check_refused(case, case.combine, case.combine, "expected a name",
                  TypeError)
    with pytest.raises(ValueError, match="combine is given twice"):
        case.check(case.x, combine=case.combine)
    with pytest.raises(ValueError, match="given twice"):
        case.check(case.x, stage="x", hidden=case.x)


@pytest.mark.parametrize("name", ["tokens", "seed", "ep", "rank"])
def test_whole_numbers_are_those_of_any_integer_type(name):
    settings = {"model": SMALL, "tokens": 8, "ep": 4}
    want = moesim.case(**{**settings, name: 2})
    for kind in (numpy.int8, numpy.uint64, numpy.int64, numpy.array):
        case = moesim.case(**{**settings, name: kind(2)})
        assert case.settings == want.settings
        assert (case.x == want.x).all()
    for wrong in (-1, numpy.int64(-1), 2.0, numpy.float32(2), "2", None, True,
                  numpy.bool_(True), numpy.array(True), numpy.array([2])):
        with pytest.raises(moesim.MoesimError) as told:
            moesim.case(**{**settings, name: wrong})
        assert str(told.value).startswith(
            f"{name}={wrong!r}, expected a whole number >= ")


def test_true_and_false_are_those_of_numpy_too():
    case = moesim.case(SMALL, tokens=8, renormalize=numpy.bool_(False))
    want = moesim.case(SMALL, tokens=8, renormalize=False)
    assert (case.topk_weights == want.topk_weights).all()


def test_a_format_that_no_array_has_is_told():
    case = moesim.case(SMALL, tokens=8, dispatch="logfmt10")
    assert not hasattr(case, "dispatch")
    check_refused(case, numpy.zeros((8, 256)), "dispatch", "is log10, which")


def test_tensors_of_torch_are_judged_alike_in_every_layout():
    torch = pytest.importorskip("torch")
    case = moesim.case(SMALL, tokens=8, framework="torch", dispatch="nvfp4")
    good = case.combine.clone()
    rows, cols = good.shape
    wide = torch.zeros(rows, 2 * cols, dtype=good.dtype)
    wide[:, ::2] = good
    for same in (good, good.T.contiguous().T, wide[:, ::2], good.double(),
                 good.float().requires_grad_(), good.half().T.clone().T,
                 torch.cat([good[:0], good]), torch._neg_view(-good)):
        assert "at most 0 ulp" in case.check(same)
    for wrong in (torch.tensor(1.), good.reshape(-1), good[..., None],
                  good[..., None].expand(rows, cols, 4), good[:, :, None][
                      ..., :0], good[:0], good.T):
        check_refused(case, wrong, "combine", f"of shape "
                      f"{tuple(wrong.shape)}, expected ({rows}, {cols})")
    codes, scales = case.dispatch, case.dispatch_scale
    for value in ((codes, scales), (codes, scales.T.contiguous().T),
                  (codes.view(torch.uint8), scales.view(torch.uint8))):
        case.check(value, stage="dispatch")
    check_refused(case, (codes, scales[0, 0]), "dispatch", "of shape ()",
                  TypeError)


def test_whole_numbers_may_be_of_torch():
    torch = pytest.importorskip("torch")
    assert moesim.case(SMALL, tokens=torch.tensor(8)).x.shape == (8, 256)
    with pytest.raises(moesim.MoesimError, match="expected a whole number"):
        moesim.case(SMALL, tokens=torch.tensor(True))
