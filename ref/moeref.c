/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/moeref.h"

#include "ref/formats.h"
#include "ref/quantize.h"
#include "ref/swizzle.h"

#include <float.h>

#define TEXT(x)                 #x
#define VERSION(a, b, c)        TEXT(a) "." TEXT(b) "." TEXT(c)
#define BLOCK                   16
#define TILE_ROWS               128 /* largest padding of a layout */
#define NVFP4_RANGE             (448.0f * 6.0f)
#define MOST_BYTES              ((size_t)PTRDIFF_MAX)
#define LAYOUT_IS_KNOWN(layout) ((unsigned)(layout) < MOE_SCALES_COUNT)

_Static_assert((int)MOEREF_SCALES_LINEAR == (int)MOE_SCALES_linear &&
                   (int)MOEREF_SCALES_128X4 == (int)MOE_SCALES_128x4 &&
                   (int)MOEREF_SCALES_8X4 == (int)MOE_SCALES_8x4,
               "one numbering of layouts");
_Static_assert(sizeof(size_t) == sizeof(int64_t), "rows of shards");

const char *moeref_version(void)
{
    return VERSION(MOEREF_VERSION_MAJOR, MOEREF_VERSION_MINOR,
                   MOEREF_VERSION_PATCH);
}

float moeref_nvfp4_global_scale(float amax)
{
    float scale = NVFP4_RANGE / amax;

    if (!(amax > 0.0f) || !(scale > 0.0f)) {
        return 1.0f;
    }
    return scale > FLT_MAX ? FLT_MAX : scale;
}

/* float32 is the largest element here: its bytes must be countable. */
static bool size_fits(size_t rows, size_t cols)
{
    size_t most = MOST_BYTES / sizeof(float);

    return cols % BLOCK == 0 && (cols == 0 || rows <= most / cols) &&
           rows <= most;
}

static bool global_fits(float global_scale)
{
    float inverse = 1.0f / global_scale;

    return global_scale > 0.0f && global_scale <= FLT_MAX && inverse <= FLT_MAX;
}

static moeref_status_t check(size_t rows, size_t cols, float global_scale)
{
    if (!size_fits(rows, cols)) {
        return MOEREF_ERR_SIZE;
    }
    return global_fits(global_scale) ? MOEREF_OK : MOEREF_ERR_SCALE;
}

static moe_rows_t plain_rows(moe_format_t format, void *x, size_t rows,
                             size_t cols)
{
    return (moe_rows_t){.storage = {.format = format},
                        .rows = (int64_t)rows,
                        .cols = (int64_t)cols,
                        .codes = x};
}

static moe_rows_t nvfp4_rows(void *codes, void *scales, size_t rows,
                             size_t cols, float global_scale)
{
    return (moe_rows_t){
        .storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_te_exact, global_scale},
        .rows = (int64_t)rows,
        .cols = (int64_t)cols,
        .codes = codes,
        .scales = scales};
}

/* A source as moe_rows_t, which has no const, takes it. */
static void *borrowed(const void *p)
{
    return (void *)(uintptr_t)p;
}

static moeref_status_t quantize(moe_format_t format, const void *x, size_t rows,
                                size_t cols, float global_scale, uint8_t *codes,
                                uint8_t *scales)
{
    moeref_status_t status = check(rows, cols, global_scale);
    moe_rows_t src = plain_rows(format, borrowed(x), rows, cols);
    moe_rows_t dst = nvfp4_rows(codes, scales, rows, cols, global_scale);

    if (status == MOEREF_OK) {
        (void)moe_ref_quantize(&src, &dst); /* checked: it cannot fail */
    }
    return status;
}

moeref_status_t moeref_nvfp4_quantize(const float *x, size_t rows, size_t cols,
                                      float global_scale, uint8_t *codes,
                                      uint8_t *scales)
{
    return quantize(MOE_FORMAT_fp32, x, rows, cols, global_scale, codes,
                    scales);
}

moeref_status_t moeref_nvfp4_quantize_bf16(const uint16_t *x, size_t rows,
                                           size_t cols, float global_scale,
                                           uint8_t *codes, uint8_t *scales)
{
    return quantize(MOE_FORMAT_bf16, x, rows, cols, global_scale, codes,
                    scales);
}

static moeref_status_t dequantize(const uint8_t *codes, const uint8_t *scales,
                                  size_t rows, size_t cols, float global_scale,
                                  moe_format_t format, void *out)
{
    moeref_status_t status = check(rows, cols, global_scale);
    moe_rows_t src =
        nvfp4_rows(borrowed(codes), borrowed(scales), rows, cols, global_scale);
    moe_rows_t dst = plain_rows(format, out, rows, cols);

    if (status == MOEREF_OK) {
        (void)moe_ref_dequantize(&src, &dst); /* checked: it cannot fail */
    }
    return status;
}

moeref_status_t moeref_nvfp4_dequantize(const uint8_t *codes,
                                        const uint8_t *scales, size_t rows,
                                        size_t cols, float global_scale,
                                        float *out)
{
    return dequantize(codes, scales, rows, cols, global_scale, MOE_FORMAT_fp32,
                      out);
}

moeref_status_t moeref_nvfp4_dequantize_bf16(const uint8_t *codes,
                                             const uint8_t *scales, size_t rows,
                                             size_t cols, float global_scale,
                                             uint16_t *out)
{
    return dequantize(codes, scales, rows, cols, global_scale, MOE_FORMAT_bf16,
                      out);
}

/* Rows and blocks padded to the largest tile still fit. */
static bool scales_fit(moeref_scale_layout_t layout, size_t rows, size_t blocks)
{
    return LAYOUT_IS_KNOWN(layout) && rows < MOST_BYTES - TILE_ROWS &&
           blocks < MOST_BYTES - TILE_ROWS &&
           rows + TILE_ROWS <= MOST_BYTES / (blocks + TILE_ROWS);
}

size_t moeref_scales_bytes(moeref_scale_layout_t layout, size_t rows,
                           size_t blocks)
{
    if (!scales_fit(layout, rows, blocks)) {
        return 0;
    }
    return (size_t)moe_scales_bytes((moe_scale_layout_t)layout, (int64_t)rows,
                                    (int64_t)blocks);
}

size_t moeref_scales_offset(moeref_scale_layout_t layout, size_t blocks,
                            size_t row, size_t block)
{
    return (size_t)moe_scales_offset((moe_scale_layout_t)layout,
                                     (int64_t)blocks, (int64_t)row,
                                     (int64_t)block);
}

moeref_status_t moeref_scales_swizzle(moeref_scale_layout_t layout, size_t rows,
                                      size_t blocks, const uint8_t *linear,
                                      uint8_t *tiled)
{
    if (!scales_fit(layout, rows, blocks)) {
        return MOEREF_ERR_SIZE;
    }
    moe_scales_swizzle((moe_scale_layout_t)layout, (int64_t)rows,
                       (int64_t)blocks, linear, tiled);
    return MOEREF_OK;
}

moeref_status_t moeref_scales_unswizzle(moeref_scale_layout_t layout,
                                        size_t rows, size_t blocks,
                                        const uint8_t *tiled, uint8_t *linear)
{
    if (!scales_fit(layout, rows, blocks)) {
        return MOEREF_ERR_SIZE;
    }
    moe_scales_unswizzle((moe_scale_layout_t)layout, (int64_t)rows,
                         (int64_t)blocks, tiled, linear);
    return MOEREF_OK;
}

moeref_status_t moeref_scales_gather(moeref_scale_layout_t layout,
                                     const size_t *rows, size_t shards,
                                     size_t blocks, const uint8_t *const *shard,
                                     uint8_t *whole)
{
    size_t total = 0;

    for (size_t s = 0; s < shards; s++) {
        if (rows[s] > MOST_BYTES - total) {
            return MOEREF_ERR_SIZE;
        }
        total += rows[s];
    }
    if (!scales_fit(layout, total, blocks)) {
        return MOEREF_ERR_SIZE;
    }
    moe_scales_gather((moe_scale_layout_t)layout, (const int64_t *)rows,
                      (int64_t)shards, (int64_t)blocks, shard, whole);
    return MOEREF_OK;
}
