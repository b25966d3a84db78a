/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/quantize.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What each profile makes of zeros, of scales that underflow or overflow, of
 * infinity and NaN: the table of doc/formats.md, byte for byte. A line gives
 * the first elements of a block; the rest is 0. */

enum {
    COLS = 128,
    FIRST = 8
};

#define INF  HUGE_VALF
#define NAN_ ((float)NAN)

typedef struct {
    moe_profile_t profile;
    float global;
    float x[FIRST];
    const char *want; /* scale, then the codes of the first 8 elements */
} edge_t;

#define EDGE(profile, global, want, ...)                                       \
    {                                                                          \
        MOE_PROFILE_##profile, global, {__VA_ARGS__}, want                     \
    }

/* Of the published table: fp4_formats 2.1; the rest is worked out by hand. */
static const edge_t edges[] = {
    /* a scale that underflows */
    EDGE(te_exact, 1, "00 f7077800", 0x1p-8f, -0x1p-8f, 0x1p-9f, 0, -0.0f,
         0x1p-8f),
    EDGE(flashinfer_exact, 1, "00 f7077807", 0x1p-8f, -0x1p-8f, 0x1p-9f, 0,
         -0.0f, 0x1p-8f, 0x1p-9f),
    EDGE(fast_rcp_sm90, 1, "00 f7777777", 0x1p-8f, -0x1p-8f, 0x1p-9f, 0, -0.0f,
         0x1p-8f),
    EDGE(fast_rcp_sm90_vllm, 1, "00 80000800", 0x1p-8f, -0x1p-8f, 0x1p-9f, 0,
         -0.0f, 0x1p-8f),
    EDGE(torchao_nvfp4, 1, "08 80000800", 0x1p-8f, -0x1p-8f, 0x1p-9f, 0, -0.0f,
         0x1p-8f),
    /* the smallest scale */
    EDGE(te_exact, 1, "01 f7a50000", .01171875f, -.01171875f, .005f, -.002f),
    EDGE(flashinfer_exact, 1, "01 f7a50000", .01171875f, -.01171875f, .005f,
         -.002f),
    EDGE(fast_rcp_sm90, 1, "01 f7a50000", .01171875f, -.01171875f, .005f,
         -.002f),
    EDGE(fast_rcp_sm90_vllm, 1, "01 f7a50000", .01171875f, -.01171875f, .005f,
         -.002f),
    /* one that saturates */
    EDGE(flashinfer_exact, 2688, "7e f777f707", 100, -50, 10, 1, 6, -6, 3),
    EDGE(fast_rcp_sm90, 2688, "7e f777f707", 100, -50, 10, 1, 6, -6, 3),
    EDGE(fast_rcp_sm90_vllm, 2688, "7e f777f707", 100, -50, 10, 1, 6, -6, 3),
    EDGE(torchao_nvfp4, 1 / 2688.0f, "7e f777f707", 100, -50, 10, 1, 6, -6, 3),
    /* infinity and NaN among others */
    EDGE(te_exact, 448, "7e a7d4e607", INF, -1, 2, -3, 4, -5, 6),
    EDGE(flashinfer_exact, 448, "7e a7d4e607", INF, -1, 2, -3, 4, -5, 6),
    EDGE(fast_rcp_sm90, 448, "7e a7d4e607", INF, -1, 2, -3, 4, -5, 6),
    EDGE(fast_rcp_sm90_vllm, 448, "7e a7d4e607", NAN_, -1, 2, -3, 4, -5, 6),
    EDGE(torchao_nvfp4, 1 / 448.0f, "7e a7d4e607", INF, -1, 2, -3, 4, -5, 6),
    EDGE(torchao_nvfp4, 1 / 448.0f, "7f 77777777", NAN_, -1, 2, -3, 4, -5, 6),
    /* zeros of both signs; with the infinite global scale of an amax of 0 */
    EDGE(te_exact, 448, "00 88000000", -0.0f, -0.0f),
    EDGE(flashinfer_exact, 448, "00 88000000", -0.0f, -0.0f),
    EDGE(fast_rcp_sm90, 448, "00 88000000", -0.0f, -0.0f),
    EDGE(fast_rcp_sm90_vllm, 448, "00 88000000", -0.0f, -0.0f),
    EDGE(torchao_nvfp4, 1 / 448.0f, "08 88000000", -0.0f, -0.0f),
    EDGE(flashinfer_exact, INF, "00 88000000", -0.0f, -0.0f),
    EDGE(fast_rcp_sm90, INF, "7f 88000000", -0.0f, -0.0f),
    EDGE(fast_rcp_sm90_vllm, INF, "7f 77777777", -0.0f, -0.0f),
    EDGE(torchao_nvfp4, 0, "7f 77777777", -0.0f, -0.0f),
    /* MX: zeros, the smallest scale, infinity, NaN */
    EDGE(mxfp4_floor, 0, "00 88000000", -0.0f, -0.0f),
    EDGE(mxfp4_even, 0, "00 88000000", -0.0f, -0.0f),
    EDGE(mxfp4_ceil6, 0, "00 88000000", -0.0f, -0.0f),
    EDGE(mxfp4_ceil, 0, "00 88000000", -0.0f, -0.0f),
    EDGE(mxfp4_floor, 0, "00 e4000000", 0x1p-126f, -0x1p-125f),
    EDGE(mxfp4_even, 0, "00 80000000", 0x1p-126f, -0x1p-125f),
    EDGE(mxfp4_ceil6, 0, "00 80000000", 0x1p-126f, -0x1p-126f),
    EDGE(mxfp4_ceil, 0, "00 e4000000", 0x1p-126f, -0x1p-125f),
    EDGE(mxfp4_floor, 0, "ff 77777777", INF, -1),
    EDGE(mxfp4_even, 0, "ff 77777777", INF, -1),
    EDGE(mxfp4_ceil6, 0, "fe 87000000", INF, -1),
    EDGE(mxfp4_ceil, 0, "ff 77777777", INF, -1),
    EDGE(mxfp4_floor, 0, "ff 77777777", NAN_, -1),
    EDGE(mxfp4_even, 0, "7d e7000000", NAN_, -1),
    EDGE(mxfp4_ceil6, 0, "7d e7000000", NAN_, -1),
    EDGE(mxfp4_ceil, 0, "ff 77777777", NAN_, -1),
    EDGE(mxfp8_rceil, 0, "00 8000000000000000", -0.0f),
    EDGE(mxfp8_flashinfer, 0, "00 8000000000000000", -0.0f),
    EDGE(mxfp8_rceil, 0, "00 7ef6000000000000", 0x1.cp-119f, -0x1.cp-120f),
    EDGE(mxfp8_flashinfer, 0, "00 0080000000000000", 0x1.cp-119f, -0x1.cp-120f),
    EDGE(mxfp8_rceil, 0, "ff 7f7f7f7f7f7f7f7f", INF, 1),
    EDGE(mxfp8_flashinfer, 0, "fe 7f80000000000000", INF, -1),
    EDGE(mxfp8_rceil, 0, "ff 7f7f7f7f7f7f7f7f", NAN_, 1),
    EDGE(mxfp8_flashinfer, 0, "77 7ff8000000000000", NAN_, -1),
    EDGE(mxfp8_e5m2_rceil, 0, "00 8000000000000000", -0.0f),
    EDGE(mxfp8_e5m2_rceil, 0, "ff 7f7f7f7f7f7f7f7f", -INF, 1),
    EDGE(mxfp8_e5m2_rceil, 0, "ff 7f7f7f7f7f7f7f7f", NAN_, 1),
    EDGE(mxfp8_e5m2_rceil, 0, "00 40c0000000000000", 0x1p-126f, -0x1p-126f),
    /* FP8 groups: zeros; NaN; infinity */
    EDGE(deepep, 0, "346facad 8000000000000000", -0.0f),
    EDGE(deepgemm, 0, "346facad 8000000000000000", -0.0f),
    EDGE(vllm_1x128, 0, "2a7b5123 8000000000000000", -0.0f),
    EDGE(trtllm_1x128, 0, "3f800000 8000000000000000", -0.0f),
    EDGE(deepep_ue8m0, 0, "69 8000000000000000", -0.0f),
    EDGE(deepgemm_ue8m0, 0, "69 8000000000000000", -0.0f),
    EDGE(vllm_ue8m0, 0, "5e 8000000000000000", -0.0f),
    EDGE(fp8_token_vllm, 0, "36924925 8000000000000000", -0.0f),
    EDGE(fp8_tensor, 2, " 8000000000000000", -0.0f),
    EDGE(fp8_tensor, 2, " 807e7e0000000000", -0.0f, 448, 224),
    EDGE(deepep, 0, "3f800000 7ffe000000000000", NAN_, -448),
    EDGE(deepgemm, 0, "7fc00000 7f7f7f7f7f7f7f7f", NAN_, -448),
    EDGE(vllm_1x128, 0, "3f800000 fefe000000000000", NAN_, -448),
    EDGE(trtllm_1x128, 0, "3f800000 7ffe000000000000", NAN_, -448),
    EDGE(deepep_ue8m0, 0, "7f 7ffe000000000000", NAN_, -448),
    EDGE(deepgemm_ue8m0, 0, "fe 7f80000000000000", NAN_, -448),
    EDGE(vllm_ue8m0, 0, "7f fefe000000000000", NAN_, -448),
    EDGE(fp8_token_vllm, 0, "3f800000 7efe000000000000", NAN_, -448),
    EDGE(fp8_tensor, 1, " 7efe7efe00000000", NAN_, -448, INF, -INF),
    EDGE(deepep, 0, "7f800000 7f80000000000000", INF, -448),
    EDGE(deepgemm, 0, "7f800000 7f80000000000000", INF, -448),
    EDGE(vllm_1x128, 0, "7f800000 fe80000000000000", INF, -448),
    EDGE(trtllm_1x128, 0, "7f800000 7f80000000000000", INF, -448),
    EDGE(deepep_ue8m0, 0, "ff 7f80000000000000", INF, -448),
    EDGE(deepgemm_ue8m0, 0, "fe 7e80000000000000", INF, -448),
    EDGE(vllm_ue8m0, 0, "ff fe80000000000000", INF, -448),
    EDGE(fp8_token_vllm, 0, "7f800000 7e80000000000000", INF, -448),
    EDGE(fp8_token_vllm, 0, "7f800000 7e80000000000000", -INF, -448),
    EDGE(vllm_1x128, 0, "7f800000 fe80000000000000", -INF, -448),
    /* FP8 groups whose scale underflows: the least scale; TensorRT-LLM's has
     * none */
    EDGE(deepep, 0, "346facad 0080008000000000", 0x1p-130f, -0x1p-130f, 0,
         -0.0f),
    EDGE(deepgemm, 0, "346facad 0080008000000000", 0x1p-130f, -0x1p-130f, 0,
         -0.0f),
    EDGE(vllm_1x128, 0, "2a7b5123 0080008000000000", 0x1p-130f, -0x1p-130f, 0,
         -0.0f),
    EDGE(trtllm_1x128, 0, "00000000 7efe7f7f7f7f7f7f", 0x1p-130f, -0x1p-130f, 0,
         -0.0f),
    EDGE(deepep_ue8m0, 0, "69 0080008000000000", 0x1p-130f, -0x1p-130f, 0,
         -0.0f),
    EDGE(vllm_ue8m0, 0, "5e 0080008000000000", 0x1p-130f, -0x1p-130f, 0, -0.0f),
    EDGE(deepgemm_ue8m0, 0, "69 0080008000000000", 0x1p-130f, -0x1p-130f, 0,
         -0.0f),
    EDGE(fp8_token_vllm, 0, "36924925 0080008000000000", 0x1p-130f, -0x1p-130f,
         0, -0.0f),
    EDGE(fp8_tensor, 1, " 0080008000000000", 0x1p-130f, -0x1p-130f, 0, -0.0f),
    /* 8-bit integers: zeros; halves; NaN; infinity; all underflows */
    EDGE(int8_dispatch, 0, "00000000 0000000000000000", -0.0f),
    EDGE(int8_init_routing, 0, "00000000 0000000000000000", -0.0f),
    EDGE(int8_vllm, 0, "00000000 0000000000000000", -0.0f),
    EDGE(int8_combine, 0, "0000 0000000000000000", -0.0f),
    EDGE(int8_dispatch, 0, "3f800000 7f00fe0200000000", 127, .5f, -1.5f, 2.5f),
    EDGE(int8_init_routing, 0, "3f800000 7f01fe0300000000", 127, .5f, -1.5f,
         2.5f),
    EDGE(int8_vllm, 0, "3f800000 7f00fe0200000000", 127, .5f, -1.5f, 2.5f),
    EDGE(int8_combine, 0, "3f80 7f00fe0200000000", 127, .5f, -1.5f, 2.5f),
    EDGE(int8_dispatch, 0, "3f800000 0081000000000000", NAN_, -127),
    EDGE(int8_init_routing, 0, "3f800000 0081000000000000", NAN_, -127),
    EDGE(int8_vllm, 0, "3f800000 0081000000000000", NAN_, -127),
    EDGE(int8_combine, 0, "3f80 0081000000000000", NAN_, -127),
    EDGE(int8_dispatch, 0, "7f800000 0000000000000000", INF, -127),
    EDGE(int8_init_routing, 0, "7f800000 0000000000000000", INF, -127),
    EDGE(int8_vllm, 0, "7f800000 0000000000000000", INF, -127),
    EDGE(int8_combine, 0, "7f80 0000000000000000", INF, -127),
    EDGE(int8_dispatch, 0, "00000000 7f81000000000000", 0x1p-130f, -0x1p-130f),
    EDGE(int8_vllm, 0, "00001020 7f80000000000000", 0x1p-130f, -0x1p-130f),
    EDGE(int8_init_routing, 0, "00000000 7f81000000000000", 0x1p-149f,
         -0x1p-149f),
    EDGE(int8_vllm, 0, "00000000 7f80000000000000", 0x1p-149f, -0x1p-149f),
    EDGE(int8_combine, 0, "0000 7f81000000000000", 0x1p-133f, -0x1p-133f),
    /* the largest float: no scale but NVFP4's overflows */
    EDGE(te_exact, 1, "7e f7000000", FLT_MAX, -FLT_MAX),
    EDGE(flashinfer_exact, 1, "7e f7000000", FLT_MAX, -FLT_MAX),
    EDGE(fast_rcp_sm90, 1, "7e f7000000", FLT_MAX, -FLT_MAX),
    EDGE(fast_rcp_sm90_vllm, 1, "7e f7000000", FLT_MAX, -FLT_MAX),
    EDGE(torchao_nvfp4, 1, "7e f7000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp4_floor, 0, "fc f7000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp4_even, 0, "fd e6000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp4_ceil6, 0, "fd e6000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp4_ceil, 0, "fd e6000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp8_rceil, 0, "f7 78f8000000000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp8_flashinfer, 0, "f7 78f8000000000000", FLT_MAX, -FLT_MAX),
    EDGE(mxfp8_e5m2_rceil, 0, "f0 78f8000000000000", FLT_MAX, -FLT_MAX),
    EDGE(deepep, 0, "7b124924 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(deepgemm, 0, "7b124924 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(vllm_1x128, 0, "7b124924 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(trtllm_1x128, 0, "7b124924 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(fp8_token_vllm, 0, "7b124924 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(fp8_tensor, 1, " 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(fp8_tensor, FLT_MAX, " 7efe000000000000", FLT_MAX, -FLT_MAX),
    EDGE(deepep_ue8m0, 0, "f7 78f8000000000000", FLT_MAX, -FLT_MAX),
    EDGE(deepgemm_ue8m0, 0, "f7 78f8000000000000", FLT_MAX, -FLT_MAX),
    EDGE(vllm_ue8m0, 0, "f7 78f8000000000000", FLT_MAX, -FLT_MAX),
    EDGE(int8_dispatch, 0, "7c010204 7f81000000000000", FLT_MAX, -FLT_MAX),
    EDGE(int8_init_routing, 0, "7c010204 7f81000000000000", FLT_MAX, -FLT_MAX),
    EDGE(int8_vllm, 0, "7c010204 7f81000000000000", FLT_MAX, -FLT_MAX),
    EDGE(int8_combine, 0, "7c01 7f81000000000000", FLT_MAX, -FLT_MAX),
};

/* As floats decode: what the largest float comes back as, and the largest
 * bf16. Worked out in rationals. */
static const struct {
    moe_profile_t profile;
    float of_float;
    float of_bf16;
} largest[] = {
    {MOE_PROFILE_te_exact, 2688, 2688},
    {MOE_PROFILE_torchao_nvfp4, 2688, 2688},
    {MOE_PROFILE_mxfp4_floor, 0x1.8p127f, 0x1.8p127f},
    {MOE_PROFILE_mxfp4_even, INF, INF},
    {MOE_PROFILE_mxfp4_ceil6, INF, INF},
    {MOE_PROFILE_mxfp4_ceil, INF, INF},
    {MOE_PROFILE_mxfp8_rceil, INF, INF},
    {MOE_PROFILE_mxfp8_flashinfer, INF, INF},
    {MOE_PROFILE_mxfp8_e5m2_rceil, INF, INF},
    {MOE_PROFILE_deepep, FLT_MAX, 0x1.fe0002p127f},
    {MOE_PROFILE_deepgemm, FLT_MAX, 0x1.fdfffep127f},
    {MOE_PROFILE_vllm_1x128, FLT_MAX, 0x1.fdfffep127f},
    {MOE_PROFILE_trtllm_1x128, FLT_MAX, 0x1.fdfffep127f},
    {MOE_PROFILE_fp8_token_vllm, FLT_MAX, 0x1.fdfffep127f},
    {MOE_PROFILE_fp8_tensor, 448, 448},
    {MOE_PROFILE_deepep_ue8m0, INF, INF},
    {MOE_PROFILE_deepgemm_ue8m0, INF, INF},
    {MOE_PROFILE_vllm_ue8m0, INF, INF},
    {MOE_PROFILE_int8_dispatch, INF, 0x1.fep127f},
    {MOE_PROFILE_int8_init_routing, INF, 0x1.fep127f},
    {MOE_PROFILE_int8_vllm, INF, 0x1.fep127f},
    {MOE_PROFILE_int8_combine, 0x1.fff8p127f, 0x1.fff8p127f},
};

/* The stored scale in hex, a blank, the codes of 8 elements. */
static void print(const moe_rows_t *dst, char *out)
{
    const moe_format_info_t *info = moe_format_info(dst->storage.format);
    const uint8_t *codes = dst->codes;
    uint32_t scale;
    uint16_t half;

    memcpy(&scale, dst->scales, sizeof(scale));
    memcpy(&half, dst->scales, sizeof(half));
    switch (moe_dtype_bits(info->scale)) {
    case 8:
        out += sprintf(out, "%02x", (unsigned)(scale & 0xff));
        break;
    case 16:
        out += sprintf(out, "%04x", (unsigned)half);
        break;
    case 32:
        out += sprintf(out, "%08x", (unsigned)scale);
        break;
    default:
        break;
    }
    *out++ = ' ';
    for (int64_t i = 0; i < moe_dtype_bytes(info->code, FIRST); i++) {
        out += sprintf(out, "%02x", codes[i]);
    }
}

static float values[COLS];
static uint32_t codes[COLS], scales[COLS];

static const moe_rows_t floats = {.storage = {.format = MOE_FORMAT_fp32},
                                  .rows = 1,
                                  .cols = COLS,
                                  .codes = values};

/* The values as codes; both are static. */
static moe_rows_t quantised(moe_profile_t profile, float global)
{
    const moe_rows_t dst = {
        .storage = {moe_profile_format(profile), profile, global},
        .rows = 1,
        .cols = COLS,
        .codes = codes,
        .scales = scales};

    memset(codes, 0xa5, sizeof(codes));
    memset(scales, 0, sizeof(scales));
    ck_assert_msg(moe_ref_quantize(&floats, &dst) == MOE_OK, "%s",
                  moe_error_text());
    return dst;
}

START_TEST(the_edges_are_as_documented)
{
    const edge_t *edge = &edges[_i];
    moe_rows_t dst;
    char got[64];

    memset(values, 0, sizeof(values));
    memcpy(values, edge->x, sizeof(edge->x));
    dst = quantised(edge->profile, edge->global);
    print(&dst, got);
    ck_assert_msg(strcmp(got, edge->want) == 0, "%s: %s, expected %s",
                  moe_profile_name(edge->profile), got, edge->want);
}
END_TEST

static void largest_decodes(moe_profile_t profile, float x, float want)
{
    moe_rows_t dst;

    memset(values, 0, sizeof(values));
    values[0] = x;
    values[1] = -x;
    dst = quantised(profile, 1);
    ck_assert_int_eq(moe_ref_dequantize(&dst, &floats), MOE_OK);
    ck_assert_msg(memcmp(&values[0], &want, sizeof(want)) == 0,
                  "%s of %a: %a, expected %a", moe_profile_name(profile),
                  (double)x, (double)values[0], (double)want);
    ck_assert(!(values[1] < -want) && !(values[1] > -want));
    ck_assert(!(fabsf(values[2]) > 0)); /* others keep what they are */
}

START_TEST(the_largest_numbers_decode_as_documented)
{
    largest_decodes(largest[_i].profile, FLT_MAX, largest[_i].of_float);
    largest_decodes(largest[_i].profile, 0x1.fep127f, largest[_i].of_bf16);
}
END_TEST

/* A block of zeros, an infinity or a NaN, numbers whose scale underflows and
 * the largest float are in the table for each. */
START_TEST(every_profile_has_its_edges)
{
    int zeros = 0, infinities = 0, nans = 0, least = 0, most = 0;

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        if ((int)edges[i].profile == _i) {
            zeros += !(fabsf(edges[i].x[1]) > 0) && signbit(edges[i].x[0]);
            infinities += isinf(edges[i].x[0]) || isinf(edges[i].x[2]);
            nans += isnan(edges[i].x[0]);
            least += edges[i].x[0] > 0 && edges[i].x[0] < 0.012f;
            most += !(edges[i].x[0] < FLT_MAX) && !isinf(edges[i].x[0]) &&
                    !isnan(edges[i].x[0]);
        }
    }
    ck_assert_msg(zeros > 0 && infinities + nans > 0 && least > 0 && most > 0,
                  "%s", moe_profile_name((moe_profile_t)_i));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize_edges");
    TCase *tests = tcase_create("quantize_edges");

    tcase_add_loop_test(tests, the_edges_are_as_documented, 0,
                        (int)(sizeof(edges) / sizeof(edges[0])));
    tcase_add_loop_test(tests, the_largest_numbers_decode_as_documented, 0,
                        (int)(sizeof(largest) / sizeof(largest[0])));
    tcase_add_loop_test(tests, every_profile_has_its_edges,
                        MOE_PROFILE_none + 1, MOE_PROFILE_logfmt10_deepep);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
