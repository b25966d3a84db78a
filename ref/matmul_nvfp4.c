/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul_nvfp4.h"

#include "ref/combine.h"
#include "ref/formats.h"
#include "ref/room.h"
#include "ref/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNIT_EXPONENT = -20, /* of a product of two elements */
    DOUBT = 4,           /* float64 ulps: two roundings are at most 2 */
    F64_DIGITS = 52,     /* stored */
    BIASES = 64,         /* drawn at a time */
    BIAS_CHANGE = 1023 - 127
};

/* Best first. The last one is everywhere. */
static const moe_nvfp4_kernel_t *const kernels[] = {
    &moe_nvfp4_amx,
    &moe_nvfp4_vnni,
    &moe_nvfp4_avx2,
    &moe_nvfp4_blas,
};

const moe_nvfp4_kernel_t *moe_nvfp4_kernel_at(int i)
{
    return i < (int)(sizeof(kernels) / sizeof(kernels[0])) ? kernels[i] : NULL;
}

static bool is_usable(const moe_nvfp4_kernel_t *kernel, const char *name,
                      int64_t rows)
{
    return kernel->available() &&
           (name != NULL ? strcmp(name, kernel->name) == 0
                         : rows >= kernel->min_rows);
}

/* NULL if what MOESIM_KERNEL asks for is not there. */
static const moe_nvfp4_kernel_t *find_kernel(int64_t rows)
{
    const char *name = getenv("MOESIM_KERNEL");
    const moe_nvfp4_kernel_t *kernel;
    int i = 0;

    while ((kernel = moe_nvfp4_kernel_at(i)) != NULL &&
           !is_usable(kernel, name, rows)) {
        i++;
    }
    return kernel;
}

const moe_nvfp4_kernel_t *moe_nvfp4_kernel(int64_t rows)
{
    const moe_nvfp4_kernel_t *kernel = find_kernel(rows);

    if (kernel == NULL) {
        (void)moe_fail(MOE_ERR_UNSUPPORTED,
                       "MOESIM_KERNEL: no matmul kernel '%.32s' on this "
                       "processor",
                       getenv("MOESIM_KERNEL"));
    }
    return kernel;
}

/* By 128-bit integers: |sum| < 2^63 times a scale of 48 digits. */
static uint32_t round_exact(int64_t sum, double scale, moe_format_t format)
{
    uint64_t magnitude = sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum;
    int exponent;
    uint64_t digits = (uint64_t)ldexp(frexp(scale, &exponent), 48);

    return moe_round_int(format, sum < 0, (moe_u128_t)magnitude * digits,
                         exponent - 48 + UNIT_EXPONENT);
}

/*
 * bf16 or fp32 of a float64 that is off by at most DOUBT ulps; false if that
 * leaves it open, or the result is not a normal number by far.
 */
static bool round_decided(uint64_t bits, moe_format_t format, uint32_t *out_p)
{
    const int cut = format == MOE_FORMAT_fp32 ? 29 : 45; /* digits lost */
    const uint64_t half = UINT64_C(1) << (cut - 1);
    uint64_t magnitude = bits & (UINT64_MAX >> 1);
    uint64_t exponent = magnitude >> F64_DIGITS;
    uint64_t tail = bits & (2 * half - 1);

    if (format == MOE_FORMAT_fp16 || tail + DOUBT - half <= 2 * DOUBT ||
        exponent < BIAS_CHANGE + 2 || exponent > BIAS_CHANGE + 252) {
        return false;
    }
    magnitude -= (uint64_t)BIAS_CHANGE << F64_DIGITS;
    *out_p = (uint32_t)((magnitude + half) >> cut | bits >> 63 << (60 - cut));
    return true;
}

uint32_t moe_nvfp4_round(int64_t sum, double scale, moe_format_t format,
                         int64_t *redone_p)
{
    double product = (double)sum * scale * 0x1p-20;
    uint64_t bits = moe_f64_bits(product);
    uint32_t low;

    if (sum == 0) {
        return 0;
    }
    if (round_decided(bits, format, &low)) {
        return low;
    }
    low = moe_round_f64(format, moe_f64_of_bits(bits - DOUBT));
    if (low == moe_round_f64(format, moe_f64_of_bits(bits + DOUBT))) {
        return low;
    }
    ++*redone_p;
    return round_exact(sum, scale, format);
}

bool moe_nvfp4_supports(moe_format_t x, moe_format_t weights, moe_format_t out)
{
    return x == MOE_FORMAT_nvfp4 && weights == MOE_FORMAT_nvfp4 &&
           (moe_format_is_float(out) || out == MOE_FORMAT_exact);
}

/* Sizes of a call. */
typedef struct {
    const moe_nvfp4_kernel_t *kernel;
    int64_t rows;  /* of a tile, at most */
    int64_t panel; /* of weights, at most */
    int64_t work_bytes;
    int64_t bytes; /* sums too */
} plan_t;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static plan_t plan_of(const moe_nvfp4_kernel_t *kernel, int64_t rows, int64_t k,
                      int64_t n)
{
    plan_t p = {.kernel = kernel};

    p.rows = smaller(rows, p.kernel->max_rows);
    p.panel = smaller(n, rows > kernel->few_rows ? kernel->max_panel
                                                 : kernel->few_panel);
    p.work_bytes = p.kernel->work_bytes(p.rows, p.panel, k);
    p.bytes = p.work_bytes + p.rows * p.panel * (int64_t)sizeof(int64_t);
    p.bytes = moe_room_bytes(p.bytes);
    return p;
}

/* Of any kernel that an expert with at most so many rows may take. */
static int64_t most_bytes(int64_t rows, int64_t k, int64_t n)
{
    const char *name = getenv("MOESIM_KERNEL");
    const moe_nvfp4_kernel_t *kernel;
    int64_t most = 0;

    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != NULL; i++) {
        if (is_usable(kernel, name, rows)) {
            int64_t bytes = plan_of(kernel, rows, k, n).bytes;

            most = bytes > most ? bytes : most;
            rows = name == NULL ? smaller(rows, kernel->min_rows - 1) : rows;
        }
        if (rows < 1) {
            break;
        }
    }
    return most;
}

int64_t moe_nvfp4_workspace(int64_t rows, int64_t k, int64_t n)
{
    return rows > 0 ? most_bytes(rows, k, n) : 0;
}

/* What rounding a tile needs. */
typedef struct {
    const moe_rows_t *out;
    double scale;
    moe_ref_stats_t *stats;
    const moe_ref_weights_t *biased; /* NULL: no biases */
    int64_t expert;                  /* local */
} target_t;

static void store_unrounded(const moe_nvfp4_tile_t *tile, const int64_t *sums,
                            const moe_rows_t *out, double scale)
{
    for (int64_t i = 0; i < tile->n; i++) {
        moe_sum_t *to = moe_rows_sums(out, tile->first + i, tile->row);

        for (int64_t j = 0; j < tile->rows; j++) {
            to[j] = moe_nvfp4_unrounded(sums[i * tile->rows + j], scale);
        }
    }
}

static void store_biased(const moe_nvfp4_tile_t *tile, const int64_t *sums,
                         const target_t *target)
{
    const moe_rows_t *out = target->out;
    const moe_format_t format = out->storage.format;
    double bias[BIASES];

    for (int64_t j = 0; j < tile->rows; j++) {
        if (j % BIASES == 0) {
            moe_ref_weights_bias(target->biased, target->expert, tile->row + j,
                                 smaller(BIASES, tile->rows - j), bias);
        }
        for (int64_t i = 0; i < tile->n; i++) {
            uint32_t bits = moe_nvfp4_round_biased(
                sums[i * tile->rows + j], target->scale, bias[j % BIASES],
                format, &target->stats->redone_exact);

            moe_float_store(format, moe_rows_codes(out, tile->first + i),
                            tile->row + j, bits);
        }
    }
    target->stats->elements += tile->n * tile->rows;
}

static void store_tile(const moe_nvfp4_tile_t *tile, const int64_t *sums,
                       const target_t *target)
{
    const moe_rows_t *out = target->out;
    moe_format_t format = out->storage.format;

    if (format == MOE_FORMAT_exact) {
        store_unrounded(tile, sums, out, target->scale);
        return;
    }
    if (target->biased != NULL) {
        store_biased(tile, sums, target);
        return;
    }
    for (int64_t i = 0; i < tile->n; i++) {
        uint8_t *row = moe_rows_codes(out, tile->first + i);

        for (int64_t j = 0; j < tile->rows; j++) {
            uint32_t bits =
                moe_nvfp4_round(sums[i * tile->rows + j], target->scale, format,
                                &target->stats->redone_exact);

            moe_float_store(format, row, tile->row + j, bits);
        }
    }
    target->stats->elements += tile->n * tile->rows;
}

/* All panels of an expert's weights times rows [first, end) of x. */
static void multiply_expert(uint8_t *work, const moe_nvfp4_weights_t *weights,
                            const moe_rows_t *x, int64_t first, int64_t end,
                            const target_t *target)
{
    int64_t n = target->out->cols;
    plan_t plan = plan_of(find_kernel(end - first), end - first, x->cols, n);
    int64_t *sums = (int64_t *)(void *)(work + plan.work_bytes);
    moe_nvfp4_tile_t tile = {.x = x, .weights = weights};

    for (tile.first = first; tile.first < end; tile.first += tile.n) {
        tile.n = smaller(end - tile.first, plan.rows);
        tile.rows = plan.panel;
        plan.kernel->prepare(&tile, work);
        for (tile.row = 0; tile.row < n; tile.row += tile.rows) {
            tile.rows = smaller(n - tile.row, plan.panel);
            plan.kernel->sum(&tile, work, sums);
            store_tile(&tile, sums, target);
        }
    }
}

static moe_status_t check_operands(const moe_ref_weights_t *weights,
                                   const moe_rows_t *x, const moe_rows_t *out)
{
    int64_t k = moe_nvfp4_weight_cols(weights);

    if (weights->parts > 1 &&
        weights->model->intermediate % (weights->parts * MOE_NVFP4_PART) != 0) {
        return moe_fail(MOE_ERR_RANGE,
                        "matmul: %lld intermediate columns in %d parts: nvfp4 "
                        "needs a multiple of %d each",
                        (long long)weights->model->intermediate, weights->parts,
                        MOE_NVFP4_PART);
    }
    if (x->cols != k || out->cols != moe_nvfp4_weight_rows(weights)) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "matmul of %lld columns to %lld, weights have %lld",
                        (long long)x->cols, (long long)out->cols, (long long)k);
    }
    if (k % MOE_NVFP4_BLOCK != 0 || k > MOE_NVFP4_MAX_COLS) {
        return moe_fail(MOE_ERR_RANGE,
                        "matmul over %lld columns: nvfp4 needs a multiple of "
                        "%d, at most %d",
                        (long long)k, MOE_NVFP4_BLOCK, MOE_NVFP4_MAX_COLS);
    }
    if (out->storage.format == MOE_FORMAT_exact &&
        moe_ref_weights_biased(weights)) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "matmul: unrounded sums with biases");
    }
    return MOE_OK;
}

static int64_t most_rows(const int64_t *offset, int64_t n_experts)
{
    int64_t most = 0;

    for (int64_t e = 0; e < n_experts; e++) {
        int64_t n = offset[e + 1] - offset[e];

        most = n > most ? n : most;
    }
    return most;
}

/* Exact product of the decode global scales of x and of an expert. */
static double global_product(const moe_ref_weights_t *w, int64_t e,
                             const moe_rows_t *x)
{
    return (double)moe_rows_global(&x->storage) *
           (double)moe_ref_weights_global(w, e);
}

/* The scale of all experts' weights is right where the first one's is. */
static moe_status_t check_global(const moe_ref_weights_t *w,
                                 const moe_rows_t *x)
{
    const double scale = global_product(w, 0, x);

    return scale > 0.0 && isfinite(scale)
               ? MOE_OK
               : moe_fail(MOE_ERR_RANGE,
                          "matmul: global scale %g, expected one above 0 that "
                          "is finite, as its inverse is",
                          (double)x->storage.global_scale);
}

moe_status_t moe_nvfp4_matmul(const moe_ref_weights_t *weights,
                              const moe_rows_t *x, const int64_t *offset,
                              int64_t n_experts, const moe_rows_t *out,
                              moe_ref_stats_t *stats)
{
    int64_t most = most_rows(offset, n_experts);
    const moe_nvfp4_kernel_t *kernel = moe_nvfp4_kernel(most);
    target_t target = {.out = out,
                       .stats = stats,
                       .biased =
                           moe_ref_weights_biased(weights) ? weights : NULL};
    moe_status_t status = check_operands(weights, x, out);
    int64_t bytes;
    uint8_t *work;

    if (kernel == NULL) {
        return MOE_ERR_UNSUPPORTED;
    }
    if (status != MOE_OK || most == 0) {
        return status;
    }
    status = check_global(weights, x);
    if (status == MOE_OK) {
        status = moe_nvfp4_check_scales(x, offset[0], offset[n_experts]);
    }
    if (status != MOE_OK) {
        return status;
    }
    bytes = most_bytes(most, x->cols, out->cols);
    work = moe_room_take(bytes);
    if (work == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a matmul: %lld bytes",
                        (long long)bytes);
    }
    for (int64_t e = 0; e < n_experts; e++) {
        const moe_nvfp4_drawn_t drawn = {weights,
                                         moe_ref_weights_expert(weights, e)};
        const moe_nvfp4_weights_t from = {moe_nvfp4_fetch_drawn,
                                          moe_nvfp4_fetch_panel_drawn, &drawn};

        target.expert = e;
        target.scale = global_product(weights, e, x);
        if (offset[e] < offset[e + 1]) {
            multiply_expert(work, &from, x, offset[e], offset[e + 1], &target);
        }
    }
    free(work);
    return MOE_OK;
}
