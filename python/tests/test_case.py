# SPDX-License-Identifier: Apache-2.0
"""The package against numpy alone: decoding, matmul, routing in float64."""

import os
import pathlib
import time

import numpy
import pytest

import moesim

pytest_plugins = ["pytester"]

SMALL = {"hidden": 256, "intermediate": 128, "experts": 8, "topk": 2,
         "score": "softmax", "renormalize": True}
E2M1 = numpy.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4,
                    -6])


def e4m3(codes):
    codes = codes.view(numpy.uint8).astype(numpy.int64)
    exponent, digits = codes >> 3 & 15, codes & 7
    value = numpy.where(exponent == 0, digits * 2.0 ** -9,
                        (8 + digits) * 2.0 ** (exponent - 10))
    return numpy.where(codes & 128, -value, value)


def bf16(array):
    bits = array.view(numpy.uint16).astype(numpy.uint32) << 16
    return bits.view(numpy.float32).astype(numpy.float64)


def nvfp4(codes, scales, decode):
    codes = codes.view(numpy.uint8)
    both = numpy.stack([codes & 15, codes >> 4], -1)
    values = E2M1[both.reshape(*codes.shape[:-1], -1)]
    return values * numpy.repeat(e4m3(scales), 16, -1) * decode


def layer(case):
    """Partial sums of the local experts in float64; each rounding once."""
    def round_bf16(x):
        bits = x.astype(numpy.float32).view(numpy.uint32)
        bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
        return (bits << 16).astype(numpy.uint32).view(
            numpy.float32).astype(numpy.float64)

    rows = nvfp4(case.expert_in, case.expert_in_scale, case.expert_in_decode)
    w13 = nvfp4(case.w13, case.w13_scale, case.w13_decode)
    expert = case.expert - case.local_experts.start
    wide = round_bf16(numpy.einsum("nk,nik->ni", rows, w13[expert]))
    half = wide.shape[1] // 2
    gate, up = wide[:, :half], wide[:, half:]
    act = round_bf16(gate / (1 + numpy.exp(-gate)) * up)
    return rows, wide, act


@pytest.mark.parametrize("dispatch", ["bf16", "fp8_1x128", "nvfp4"])
def test_stages_are_those_of_numpy(dispatch):
    case = moesim.case(SMALL, tokens=16, ep=2, rank=1, dispatch=dispatch)
    _, wide, act = layer(case)
    assert numpy.abs(wide - bf16(case.gemm1_out)).max() <= \
        2 ** -8 * numpy.abs(wide).max()
    assert numpy.abs(act - bf16(case.act_out)).max() <= \
        2 ** -7 * numpy.abs(act).max()
    case.check(case.gemm1_out, stage="gemm1_out", act_out=case.act_out)


def test_what_is_no_array_of_numbers_is_refused():
    case = moesim.case(SMALL, tokens=4)
    with pytest.raises(TypeError):
        case.check(None)
    with pytest.raises(ValueError, match="i32"):
        case.check(numpy.zeros(case.combine.shape, numpy.int32))


def test_ids_that_do_not_fit_are_told_as_they_are():
    case = moesim.case(SMALL, tokens=8)
    ids = numpy.array(case.topk_ids, numpy.int64)
    case.check(ids, stage="topk_ids")
    ids[5, 1] = 2**40
    with pytest.raises(AssertionError) as failed:
        case.check(ids, stage="topk_ids")
    text = str(failed.value)
    assert "row 5, token 5, column 1: 2147483647 or more, exact " in text
    assert "e+" not in text.splitlines()[0]
    assert f"topk_ids[5, 1] is {2**40}, which does not fit 32 bits" in text
    ids[5, 1] = case.topk_ids[5, 1] ^ 1
    with pytest.raises(AssertionError, match=f"column 1: {ids[5, 1]}, exact "):
        case.check(ids, stage="topk_ids")


def test_routing_is_that_of_numpy():
    case = moesim.case(SMALL, tokens=64)
    logits = case.logits.astype(numpy.float64)
    want = numpy.argsort(-logits, axis=1, kind="stable")[:, :2]
    assert (case.topk_ids == want).all()
    top = numpy.exp(numpy.take_along_axis(logits, want, 1))
    assert numpy.allclose(case.topk_weights, top / top.sum(1, keepdims=True),
                          rtol=1e-6)


def test_a_wrong_kernel_is_told_first_line_first():
    case = moesim.case(SMALL, tokens=16)
    good = bf16(case.combine).astype(numpy.float32)
    assert "combine: good" in case.check(good)
    bad = good.copy()
    bad[3] = good[4]
    with pytest.raises(AssertionError) as told:
        case.check(bad)
    assert str(told.value).splitlines()[0].startswith("combine: wrong")


def test_codes_are_judged_with_their_scales():
    case = moesim.case(SMALL, tokens=16, dispatch="nvfp4")
    codes = numpy.array(case.dispatch)
    case.check((codes, case.dispatch_scale), stage="dispatch")
    swapped = codes << 4 | codes >> 4
    with pytest.raises(AssertionError):
        case.check((swapped, case.dispatch_scale), stage="dispatch")


def test_scales_of_another_type_or_size_are_refused():
    case = moesim.case(SMALL, tokens=16, dispatch="nvfp4")
    codes, scales = numpy.array(case.dispatch), numpy.array(case.dispatch_scale)
    bytes_ = scales.view("uint8")
    case.check((codes, bytes_), stage="dispatch")
    for wrong in (bytes_.astype("float32"), bytes_[:4], bytes_[:, :3],
                  bytes_.reshape(-1)):
        with pytest.raises(TypeError, match="expected e4m3 of shape"):
            case.check((codes, wrong), stage="dispatch")
    with pytest.raises(TypeError, match="has no scales"):
        case.check((case.combine, bytes_), stage="combine")


@pytest.mark.parametrize("data", ["grid", "identity", "stamp"])
def test_exact_data_are_exact_in_any_order(data):
    case = moesim.case(SMALL, tokens=16, data=data, dispatch="nvfp4")
    rows, _, _ = layer(case)
    # relu_glu in float32, experts summed backwards: the same bits
    w13 = nvfp4(case.w13, case.w13_scale, case.w13_decode)
    w2 = nvfp4(case.w2, case.w2_scale, case.w2_decode)
    out = numpy.zeros(bf16(case.combine).shape, numpy.float32)
    for i in reversed(range(len(rows))):
        wide = numpy.float32(w13[case.expert[i]] @ rows[i])
        half = len(wide) // 2
        act = numpy.maximum(wide[:half], 0) * wide[half:]
        weight = case.topk_weights[case.token[i], case.slot[i]]
        out[case.token[i]] += weight * numpy.float32(w2[case.expert[i]] @ act)
    assert (out == bf16(case.combine)).all()
    if data == "identity":
        assert (out == bf16(case.x)).all()


@pytest.mark.parametrize("name, stage", [
    ("nibbles-swapped", "gemm1_out"), ("gate-up-swapped", "act_out"),
    ("reduced-twice", "combine")])
def test_an_injected_mistake_fails_a_right_kernel(name, stage):
    case = moesim.case(SMALL, tokens=16, dispatch="nvfp4", inject=name)
    with pytest.raises(AssertionError) as told:
        case.check(getattr(case, stage), stage=stage)
    assert str(told.value).startswith(f"{stage}: wrong: {name}: ")


def test_an_injection_without_effect_is_told():
    case = moesim.case(SMALL, tokens=16, inject="e8m0-rule-floor")
    with pytest.raises(moesim.NoEffect, match="changes nothing"):
        case.check(case.combine)


def test_the_plugin_injects_skips_and_knows_its_names(pytester):
    pytester.makepyfile(f"""
        import moesim
        def test_kernel():
            case = moesim.case({SMALL}, tokens=16, dispatch="nvfp4")
            case.check(case.combine)
    """)
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    run = pytester.runpytest_inprocess("--moesim-inject", "reduced-twice")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*AssertionError: combine: wrong: reduced-tw*"])
    run = pytester.runpytest_inprocess("--moesim-inject", "clamp-missing")
    run.assert_outcomes(skipped=1)
    run = pytester.runpytest_inprocess("--moesim-inject", "nibble")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_files_are_read_as_they_were_written(tmp_path):
    case = moesim.case(SMALL, tokens=16, dispatch="nvfp4")
    path = tmp_path / "x.safetensors"
    tensors = {"dispatch": case.dispatch, "dispatch.scale": case.dispatch_scale,
               "gemm1_out": case.gemm1_out, "expert": case.expert,
               "topk_weights": case.topk_weights}
    moesim.save(path, tensors)
    again = moesim.load(path)
    assert list(again) == list(tensors)
    for name, array in tensors.items():
        assert again[name].shape == array.shape
        assert again[name].tobytes() == array.tobytes()
    path.write_bytes(b"no such thing")
    with pytest.raises(moesim.MoesimError, match="byte 0: header of"):
        moesim.load(path)


ENTRY = '{"dtype":"U8","shape":[4],"data_offsets":[%d,%d]}'


@pytest.mark.parametrize("header, data, told", [
    ('{"a":%s,"a":%s}' % (ENTRY % (0, 4), ENTRY % (4, 8)), 8, "twice"),
    ('{"a":%s,"b":%s}' % (ENTRY % (0, 4), ENTRY % (2, 6)), 6, "overlaps"),
    ('{"a":%s,"b":%s}' % (ENTRY % (0, 4), ENTRY % (6, 10)), 10, "a hole"),
    ('{"b":%s,"a":%s}' % (ENTRY % (4, 8), ENTRY % (0, 4)), 8, "unsorted"),
    ('{"a":%s}' % (ENTRY % (0, 4)), 3, "ends within tensor 'a'"),
    ('{"a":%s}' % (ENTRY % (0, 4)), 5, "1 bytes that belong to no"),
    ('{"a":%s}' % (ENTRY % (0, 5)), 5, "5 bytes, expected 4"),
    ('{"a":%s}' % (ENTRY % (0, 4)).replace("U8", "C64"), 4, "C64 is none"),
    ('{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}', 4, "expected"),
    ('{"a":4}', 0, "expected dtype, shape"),
    ('{"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}}', 4,
     "expected dtype"),
    ('{"a":{"dtype":{},"shape":[1],"data_offsets":[0,4]}}', 4,
     "expected dtype"),
    ('{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}', 1,
     "rows of whole bytes"),
    ('{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}}', 0,
     "rows of whole bytes"),
    ('{"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}}', 3,
     "rows of whole bytes"),
    ('{"a":{"dtype":"F4","shape":[],"data_offsets":[0,0]}}', 0,
     "rows of whole bytes"),
    ('{"a":{"dtype":"F32","shape":[%d,0],"data_offsets":[0,0]}}'
     % (2**63,), 0, "too large for an array"),
    ('{"a":{"dtype":"F32","shape":[%d,%d,0],"data_offsets":[0,0]}}'
     % (2**40, 2**40), 0, "too large for an array"),
    ('{"a":{"dtype":"U8","shape":[%s],"data_offsets":[0,1]}}'
     % ",".join("1" * 65), 1, "too large for an array"),
    ("[1]", 0, "no JSON object"),
    ('{"a":', 0, "no JSON: "),
    ("[" * 100000, 0, "no JSON: "),
    ('{"a":\xff}', 0, "no JSON: ")])
def test_hostile_files_are_refused_with_file_and_byte(tmp_path, header, data,
                                                      told):
    path = tmp_path / "x.safetensors"
    text = header.encode("latin-1")
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(data))
    with pytest.raises(moesim.MoesimError, match="x.safetensors: byte [0-9]+"
                       ".*" + told):
        moesim.load(path)


def test_tensors_may_be_named_in_any_order(tmp_path):
    path = tmp_path / "x.safetensors"
    text = ('{"b":%s,"a":%s}' % (ENTRY % (0, 4), ENTRY % (4, 8))).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(range(8)))
    read = moesim.load(path)
    assert read["b"].tolist() == [0, 1, 2, 3] and read["a"][0] == 4


@pytest.mark.parametrize("wrong, told", [
    ({"model": "deepseek-v33", "tokens": 4}, "did you mean"),
    ({"model": SMALL, "tokens": 4, "dispatch": "fp3"}, "dispatch"),
    ({"model": SMALL, "tokens": 4, "ep": 2, "rank": 2}, "rank 2"),
    ({"model": SMALL, "tokens": -1}, "tokens=-1"),
    ({"model": {**SMALL, "hiden": 4}, "tokens": 4}, "did you mean hidden"),
    ({"model": SMALL, "tokens": 4, "colour": "red"}, "colour"),
])
def test_what_is_wrong_is_named(wrong, told):
    with pytest.raises(ValueError, match=told):
        moesim.case(**wrong)


def test_arrays_outlive_their_case_and_are_not_copied():
    case = moesim.case(SMALL, tokens=4)
    first, again = case.x, case.x
    assert first.ctypes.data == again.ctypes.data
    del case
    assert numpy.isfinite(bf16(first)).all()


def test_a_tensor_that_is_not_there_is_no_attribute():
    case = moesim.case(SMALL, tokens=4)
    assert not hasattr(case, "gemm3_out")
    assert not hasattr(case, "x_scale")


@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
def test_bf16_numbers_in_a_wider_type_are_bf16(kind):
    case = moesim.case(SMALL, tokens=16)
    good = bf16(case.combine).astype(kind)
    case.check(good)
    bad = good.copy()
    bad[3, 5] = numpy.float32(bf16(case.combine)[3, 5] * 1.02)
    with pytest.raises(AssertionError):
        case.check(bad)


def test_float64_is_taken_where_every_element_is_a_float32():
    case = moesim.case(SMALL, tokens=16, gemm1_out="fp32")
    for stage in ("gemm1_out", "topk_weights"):
        exact = getattr(case, stage)
        assert exact.dtype == numpy.float32
        case.check(exact.astype(numpy.float64), stage=stage)
    lost = case.gemm1_out.astype(numpy.float64)
    lost[2, 7] = numpy.nan
    with pytest.raises(AssertionError, match="nan|NaN"):
        case.check(lost, stage="gemm1_out")


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_fp16_numbers_in_a_wider_type_are_fp16(kind):
    case = moesim.case(SMALL, tokens=16, gemm1_out="fp16")
    wide = case.gemm1_out.astype(kind)
    case.check(wide, stage="gemm1_out")
    wide[2, 7] *= 1.5
    with pytest.raises(AssertionError):
        case.check(wide, stage="gemm1_out")


@pytest.mark.parametrize("value", [0.1, 1e300, 1e-300, 1 + 2.0 ** -24])
def test_float64_of_more_digits_is_told_to_be_rounded(value):
    case = moesim.case(SMALL, tokens=16)
    wide = bf16(case.combine)
    wide[3, 5] = wide[4, 0] = value
    with pytest.raises(moesim.MoesimError) as told:
        case.check(wide)
    text = str(told.value)
    assert f"combine[3, 5] is {value!r} in a float64 array" in text
    assert "(2 of 4096 are none)" in text and "round the array to bf16" in text
    ids = case.topk_ids.astype(numpy.float64)
    with pytest.raises(moesim.MoesimError, match="i32"):
        case.check(ids, stage="topk_ids")


def test_torch_sees_the_same_bytes():
    torch = pytest.importorskip("torch")
    settings = {"model": SMALL, "tokens": 8, "dispatch": "nvfp4"}
    ours = moesim.case(**settings)
    case = moesim.case(**settings, framework="torch")
    assert case.x.dtype == torch.bfloat16
    assert (case.x.view(torch.int16).numpy() == ours.x.view("int16")).all()
    assert case.w13_scale.dtype == torch.float8_e4m3fn
    case.check(case.combine)


def test_the_models_of_the_project_are_here():
    table = moesim.models()
    assert table["deepseek-v3"]["experts"] == 256
    assert len(table) > 20


@pytest.mark.parametrize("name", sorted({model["name"] for model in
                                         moesim.models().values()}))
def test_every_model_routes(name):
    case = moesim.case(name, tokens=2, hidden=64, intermediate=64)
    chosen = case.settings["topk"]
    for ids in case.topk_ids:
        assert len(set(ids)) == chosen


def test_experts_biases_are_what_is_added():
    model = dict(SMALL, expert_bias=True, bias=True)
    case = moesim.case(model, tokens=16, ep=2, rank=1, gemm1_out="fp32")
    rows = nvfp4(case.expert_in, case.expert_in_scale, case.expert_in_decode)
    w13 = nvfp4(case.w13, case.w13_scale, case.w13_decode)
    expert = case.expert - case.local_experts.start
    assert case.w13_bias.shape == (4, 256) and case.w2_bias.shape == (4, 256)
    want = numpy.einsum("nk,nik->ni", rows, w13[expert])
    want += case.w13_bias[expert]
    assert numpy.allclose(case.gemm1_out, want, 1e-6, 1e-6)
    assert case.bias.shape == (8,) and case.router.shape == (8, 256)
    assert not hasattr(moesim.case(SMALL, tokens=4), "w2_bias")


def test_without_a_limit_every_group_may_be_used():
    eight = dict(SMALL, n_group=4, topk=4, group_limit="each")
    free = moesim.case(dict(eight, topk_group=4), tokens=16)
    assert (moesim.case(eight, tokens=16).topk_ids == free.topk_ids).all()
    with pytest.raises(moesim.MoesimError, match="1 used"):
        moesim.case(dict(eight, topk_group=1), tokens=16)


def test_a_rank_of_deepseek_is_made_within_a_second_or_so():
    start = time.process_time()
    case = moesim.case("deepseek-v3", tokens=64, ep=32, rank=3,
                       dispatch="nvfp4")
    case.check(case.combine)
    assert case.w13.shape == (8, 4096, 3584)
    # the goal of 1 s is measured in doc/benchmarks.md; this is a busy machine
    assert time.process_time() - start < 20


def test_the_package_has_the_table_of_the_fast_profiles():
    table = pathlib.Path(moesim.__file__).with_name("rcp_sm90.table")
    assert os.environ["MOESIM_RCP_TABLE"] == str(table) and table.exists()
    case = moesim.case(SMALL, tokens=8, dispatch="nvfp4", profile="vllm")
    assert len(case.dispatch.view(numpy.uint8)) == 8
