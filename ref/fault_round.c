/* SPDX-License-Identifier: Apache-2.0 */
/* Quantisers and roundings that are not nearest, ties to even, or not by the
 * profile's scale. */
#include "ref/fault_inside.h"

#include "ref/elements.h"
#include "ref/formats.h"
#include "ref/quantize.h"

#include <math.h>
#include <stdlib.h>

/* Of the first of two roundings to a code: bf16, fp16. */
static const int code_bits[] = {8, 11};

/* Nearest number of so many bits. */
static double to_bits(double x, int bits)
{
    int e;
    double m = frexp(x, &e);

    return isfinite(x) ? ldexp(nearbyint(ldexp(m, bits)), e - bits) : x;
}

/* x >= 0 between its neighbours: which of them. */
static bool goes_up(moe_fault_kind_t kind, double low, double x, double high,
                    bool odd)
{
    const double middle = (low + high) / 2.0;

    switch (kind) {
    case MOE_FAULT_truncation:
        return false;
    case MOE_FAULT_half_away:
        return x >= middle;
    case MOE_FAULT_ties_to_zero:
        return x > middle;
    default:
        return x > middle || (x >= middle && odd);
    }
}

double moe_ref_fault_round(moe_fault_kind_t kind, moe_format_t format, double x)
{
    const uint32_t sign = format == MOE_FORMAT_fp32 ? 0x80000000u : 0x8000u;
    uint32_t code;
    double low;
    double high;

    if (kind == MOE_FAULT_double_rounding) {
        x = to_bits(x, format == MOE_FORMAT_bf16   ? 11
                       : format == MOE_FORMAT_fp16 ? 14
                                                   : 53);
    }
    code = moe_round_f64(format, fabs(x)) & ~sign;
    low = moe_float_value(format, code);
    if (!isfinite(x) || !isfinite(low)) {
        return x;
    }
    if (low > fabs(x)) {
        code--;
        low = moe_float_value(format, code);
    }
    high = moe_float_value(format, code + 1);
    if (fabs(x) > low && goes_up(kind, low, fabs(x), high, (code & 1) != 0)) {
        low = high;
    }
    return x < 0.0 ? -low : low;
}

/* Magnitude of a code, and the last one. */
static double magnitude_of(moe_dtype_t type, uint32_t code)
{
    return type == MOE_DTYPE_e2m1   ? (double)moe_e2m1_to_f32((uint8_t)code)
           : type == MOE_DTYPE_e4m3 ? (double)moe_e4m3_to_f32((uint8_t)code)
           : type == MOE_DTYPE_e5m2 ? (double)moe_e5m2_to_f32((uint8_t)code)
                                    : (double)code;
}

static uint32_t last_code(moe_dtype_t type)
{
    return type == MOE_DTYPE_e2m1   ? 7
           : type == MOE_DTYPE_e4m3 ? 0x7e
           : type == MOE_DTYPE_e5m2 ? 0x7b
                                    : 127;
}

/* Code of y; other kinds than roundings' round as it should be. */
static uint32_t code_of(moe_fault_t fault, moe_dtype_t type, double y)
{
    const moe_fault_kind_t kind = fault.kind;
    const uint32_t last = last_code(type);
    double x = fabs(kind == MOE_FAULT_double_rounding
                        ? to_bits(y, code_bits[fault.variant])
                        : y);
    uint32_t low = 0;
    uint32_t high = last;

    while (low < high) { /* the last code that is not above x */
        uint32_t middle = (low + high + 1) / 2;

        if (magnitude_of(type, middle) <= x) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if (low < last && goes_up(kind, magnitude_of(type, low), x,
                              magnitude_of(type, low + 1), (low & 1) != 0)) {
        low++;
    }
    if (type == MOE_DTYPE_i8) {
        return y < 0.0 ? (0x100 - low) & 0xff : low;
    }
    return signbit(y) ? low | (type == MOE_DTYPE_e2m1 ? 8u : 0x80u) : low;
}

static void put_code(const moe_rows_t *rows, int64_t row, int64_t col,
                     uint32_t code)
{
    uint8_t *codes = moe_rows_codes(rows, row);

    if (moe_format_info(rows->storage.format)->code != MOE_DTYPE_e2m1) {
        codes[col] = (uint8_t)code;
    } else if (col % 2 == 0) {
        codes[col / 2] = (uint8_t)((codes[col / 2] & 0xf0) | code);
    } else {
        codes[col / 2] = (uint8_t)((codes[col / 2] & 0x0f) | code << 4);
    }
}

/* Decode scale of a block, without the global scale. */
static double scale_of(const moe_rows_t *rows, int64_t at)
{
    const uint8_t *bytes = rows->scales;

    switch (moe_format_info(rows->storage.format)->scale) {
    case MOE_DTYPE_e4m3:
        return (double)moe_e4m3_to_f32(bytes[at]);
    case MOE_DTYPE_e8m0:
        return (double)moe_e8m0_to_f32(bytes[at]);
    case MOE_DTYPE_bf16:
        return moe_float_value(
            MOE_FORMAT_bf16, moe_float_load(MOE_FORMAT_bf16, rows->scales, at));
    case MOE_DTYPE_fp32:
        return (double)((const float *)rows->scales)[at];
    default:
        return 1.0;
    }
}

/* Exponent code of a power of two by another rule. */
static uint8_t exponent_of(moe_fault_kind_t kind, moe_dtype_t type, double v)
{
    const double most = magnitude_of(type, last_code(type));
    const int digits = type == MOE_DTYPE_e2m1   ? 2
                       : type == MOE_DTYPE_e5m2 ? 3
                                                : 4;
    int top;
    int e;
    double m;

    (void)frexp(most, &top);
    if (kind == MOE_FAULT_e8m0_even) {
        (void)frexp(v, &e);
        v += ldexp(1.0, e - 1 - digits);
    }
    m = frexp(kind == MOE_FAULT_e8m0_ceil_max ? v / most : v, &e);
    e -= 1; /* floor of log2 */
    if (kind == MOE_FAULT_e8m0_ceil || kind == MOE_FAULT_e8m0_ceil_max) {
        e += m > 0.5;
    }
    e += 127 - (kind == MOE_FAULT_e8m0_ceil_max ? 0 : top - 1);
    return (uint8_t)(e < 0 ? 0 : e > 254 ? 254 : e);
}

/* A block at work. */
typedef struct {
    moe_fault_t fault;
    double encode; /* the global scale in the direction of codes */
    const moe_rows_t *out;
    int64_t row;
    int64_t col;
    int64_t n;
    int64_t scale; /* its number */
    double v;      /* largest magnitude */
} block_t;

/* The scale that codes are made with; what is stored may change. */
static double rescale(const block_t *b)
{
    const moe_dtype_t type = moe_format_info(b->out->storage.format)->code;
    uint8_t *bytes = b->out->scales;
    double scale;

    if (b->fault.kind >= MOE_FAULT_e8m0_floor &&
        b->fault.kind <= MOE_FAULT_e8m0_ceil_max && b->v > 0.0) {
        bytes[b->scale] = exponent_of(b->fault.kind, type, b->v);
    }
    scale = scale_of(b->out, b->scale);
    if (b->fault.kind == MOE_FAULT_ue8m0_late && b->v > 0.0) {
        return b->v / magnitude_of(type, last_code(type));
    }
    if (b->fault.kind == MOE_FAULT_ue4m3_clamp) {
        double clamped = scale < 0x1p-6  ? 0x1p-6
                         : scale > 240.0 ? 240.0
                                         : scale;

        bytes[b->scale] = moe_e4m3_from_f32((float)clamped);
        return clamped;
    }
    return scale;
}

static void quantize_block(const block_t *b, const double *x)
{
    const moe_dtype_t type = moe_format_info(b->out->storage.format)->code;
    const double before = scale_of(b->out, b->scale);
    const double scale = rescale(b);
    const double unit = scale * (double)moe_rows_global(&b->out->storage);
    const bool is_scale_fault = b->fault.kind == MOE_FAULT_ue4m3_clamp ||
                                (b->fault.kind >= MOE_FAULT_e8m0_floor &&
                                 b->fault.kind <= MOE_FAULT_e8m0_ceil_max);

    if (!(unit > 0.0) ||
        (is_scale_fault && !(scale < before) && !(scale > before))) {
        return; /* as it was */
    }
    for (int64_t i = b->col; i < b->col + b->n; i++) {
        const double y =
            b->fault.kind == MOE_FAULT_other_profile
                ? moe_ref_fault_multiply_by(
                      b->fault.variant, x[i], scale,
                      (double)moe_rows_global(&b->out->storage), b->encode)
                : (double)(float)(x[i] / unit);

        put_code(b->out, b->row, i, code_of(b->fault, type, y));
    }
}

bool moe_ref_fault_requantizes(moe_fault_kind_t kind, moe_format_t format)
{
    const moe_format_info_t *info = moe_format_info(format);

    if (kind >= MOE_FAULT_e8m0_floor && kind <= MOE_FAULT_ue8m0_late) {
        return info->scale == MOE_DTYPE_e8m0;
    }
    if (kind == MOE_FAULT_ue4m3_clamp) {
        return info->scale == MOE_DTYPE_e4m3;
    }
    return info->code == MOE_DTYPE_e2m1 || info->code == MOE_DTYPE_e4m3 ||
           info->code == MOE_DTYPE_e5m2 || info->code == MOE_DTYPE_i8;
}

/* By the global scale of the rows' own largest magnitude. */
static moe_status_t quantize_own(const moe_ref_layer_t *layer,
                                 const moe_rows_t *src, const moe_rows_t *out)
{
    moe_rows_t own = *out;
    double v = 0.0;

    if (!moe_format_info(out->storage.format)->has_global) {
        return moe_ref_fault_none(layer);
    }
    for (int64_t i = 0; i < src->rows * src->cols; i++) {
        double x = fabs(moe_rows_value(src, i / src->cols, i % src->cols));

        v = x > v ? x : v;
    }
    if (v > 0.0) {
        own.storage.global_scale = 0.0f;
        moe_storage_default(&own.storage, (float)v);
    }
    return moe_ref_quantize(src, &own);
}

static double encode_of(const moe_storage_t *storage)
{
    return moe_profile_info(storage->profile)->global == MOE_GLOBAL_encode
               ? (double)storage->global_scale
               : 1.0 / (double)moe_rows_global(storage);
}

moe_status_t moe_ref_fault_quantize(const moe_ref_layer_t *layer,
                                    const moe_rows_t *src,
                                    const moe_rows_t *out)
{
    const moe_format_info_t *info = moe_format_info(out->storage.format);
    const int64_t step =
        info->block > 0 && info->block < out->cols ? info->block : out->cols;
    const double encode = encode_of(&out->storage);
    double *x;

    if (layer->fault.kind == MOE_FAULT_other_profile &&
        !moe_ref_fault_has_profile(&out->storage, layer->fault.variant)) {
        return moe_ref_fault_none(layer);
    }
    if (moe_ref_fault_is_profile(layer)) {
        return moe_ref_fault_profile(layer, src, out);
    }
    if (layer->fault.kind == MOE_FAULT_global_per_rank) {
        return quantize_own(layer, src, out);
    }
    if (!moe_ref_fault_requantizes(layer->fault.kind, out->storage.format)) {
        return moe_ref_fault_none(layer);
    }
    x = malloc((size_t)out->cols * sizeof(*x) + 1);
    if (x == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a row");
    }
    for (int64_t i = 0; i < out->rows; i++) {
        moe_rows_values(src, i, 0, out->cols, x);
        for (int64_t c = 0; c < out->cols; c += step) {
            block_t b = {layer->fault,
                         encode,
                         out,
                         i,
                         c,
                         out->cols - c < step ? out->cols - c : step,
                         i * ((out->cols + step - 1) / step) + c / step,
                         0.0};

            for (int64_t j = c; j < c + b.n; j++) {
                b.v = fabs(x[j]) > b.v ? fabs(x[j]) : b.v;
            }
            quantize_block(&b, x);
        }
    }
    free(x);
    return MOE_OK;
}
