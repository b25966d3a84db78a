/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/quantize.h"
#include "tests/support.h"

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

START_TEST(the_edges_are_as_documented)
{
    const edge_t *edge = &edges[_i];
    float x[COLS] = {0};
    uint32_t codes[COLS], scales[COLS] = {0};
    moe_rows_t src = {.storage = {.format = MOE_FORMAT_fp32},
                      .rows = 1,
                      .cols = COLS,
                      .codes = x};
    moe_rows_t dst = {.storage = {moe_profile_format(edge->profile),
                                  edge->profile, edge->global},
                      .rows = 1,
                      .cols = COLS,
                      .codes = codes,
                      .scales = scales};
    char got[64];

    memcpy(x, edge->x, sizeof(edge->x));
    memset(codes, 0xa5, sizeof(codes));
    ck_assert_msg(moe_ref_quantize(&src, &dst) == MOE_OK, "%s",
                  moe_error_text());
    print(&dst, got);
    ck_assert_msg(strcmp(got, edge->want) == 0, "%s: %s, expected %s",
                  moe_profile_name(edge->profile), got, edge->want);
}
END_TEST

/* A block of zeros, an infinity and a NaN are in the table for each. */
START_TEST(every_profile_has_its_edges)
{
    int zeros = 0, infinities = 0, nans = 0;

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        if ((int)edges[i].profile == _i) {
            zeros += !(fabsf(edges[i].x[1]) > 0) && signbit(edges[i].x[0]);
            infinities += isinf(edges[i].x[0]) || isinf(edges[i].x[2]);
            nans += isnan(edges[i].x[0]);
        }
    }
    ck_assert_msg(zeros > 0 && infinities + nans > 0, "%s",
                  moe_profile_name((moe_profile_t)_i));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize_edges");
    TCase *tests = tcase_create("quantize_edges");

    tcase_add_loop_test(tests, the_edges_are_as_documented, 0,
                        (int)(sizeof(edges) / sizeof(edges[0])));
    tcase_add_loop_test(tests, every_profile_has_its_edges,
                        MOE_PROFILE_none + 1, MOE_PROFILE_logfmt10_deepep);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
