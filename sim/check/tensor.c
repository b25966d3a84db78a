/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/check/check.h"
#include "sim/check/names.h"

#include "base/checked.h"
#include "base/text.h"
#include "ref/formats.h"

#include <stdlib.h>
#include <string.h>

enum {
    TILE = 128 /* rows and columns of weights that share a scale */
};

/* What a tensor is, and where, for messages. */
typedef struct {
    const moe_safetensors_t *file;
    const char *path;
    const moe_safetensor_t *t;
    bool is_weights; /* whose scales may be of 128 x 128 elements */
} source_t;

static moe_status_t refuse(const source_t *s, const char *expected)
{
    return moe_check_unfit(s->path, s->t, expected);
}

/* Rows and columns; of three dimensions the first two are rows. */
static bool shape_of(const moe_safetensor_t *t, int64_t *rows_p,
                     int64_t *cols_p)
{
    *rows_p = 1;
    *cols_p = t->ndim > 0 ? t->dim[t->ndim - 1] : 1;
    for (int d = 0; d + 1 < t->ndim; d++) {
        if (!moe_mul_i64(*rows_p, t->dim[d], rows_p)) {
            return false;
        }
    }
    return true;
}

/* A type that can hold codes of another: its own, or plain bytes, so many
 * codes in each; 0: in rows of whole bytes. */
static bool holds(moe_dtype_t type, moe_dtype_t wanted, int64_t *packed_p)
{
    *packed_p = 1;
    if (type == wanted) {
        return true;
    }
    if (wanted == MOE_DTYPE_log10) {
        *packed_p = 0;
        return type == MOE_DTYPE_u8;
    }
    if (moe_dtype_bits(wanted) == 4) {
        *packed_p = 2;
        return type == MOE_DTYPE_u8 || type == MOE_DTYPE_i8;
    }
    return moe_dtype_bits(wanted) == 8 &&
           (type == MOE_DTYPE_u8 || type == MOE_DTYPE_i8);
}

/* Columns of a file that hold so many of a format. */
static bool is_wide(int64_t wide, int64_t packed, moe_format_t format,
                    int64_t cols)
{
    return packed > 0 ? wide * packed == cols
                      : wide == moe_format_code_bytes(format, cols);
}

static bool is_float_type(moe_dtype_t type)
{
    return type == MOE_DTYPE_bf16 || type == MOE_DTYPE_fp16 ||
           type == MOE_DTYPE_fp32;
}

static moe_format_t float_of(moe_dtype_t type)
{
    return type == MOE_DTYPE_bf16   ? MOE_FORMAT_bf16
           : type == MOE_DTYPE_fp16 ? MOE_FORMAT_fp16
                                    : MOE_FORMAT_fp32;
}

/* Storage of what the tensor holds; false if it cannot be that. */
static bool fit_storage(const moe_safetensor_t *t, moe_storage_t *storage,
                        int64_t *packed_p)
{
    const moe_dtype_t wanted = moe_format_info(storage->format)->code;

    *packed_p = 1;
    if (storage->format == MOE_FORMAT_i32) {
        return t->dtype == MOE_DTYPE_i32 || t->dtype == MOE_DTYPE_i64;
    }
    if (moe_format_is_float(storage->format) ||
        storage->format == MOE_FORMAT_exact) {
        if (t->dtype == MOE_DTYPE_u16) { /* bits of the chain's own format */
            return moe_dtype_bits(wanted) == 16;
        }
        storage->format = float_of(t->dtype);
        return is_float_type(t->dtype);
    }
    return holds(t->dtype, wanted, packed_p);
}

/* 64-bit ids to 32 bits: one that does not fit is one that no expert has. */
static moe_status_t narrow_ids(const source_t *s, moe_rows_t *rows)
{
    const int64_t n = rows->rows * rows->cols;
    int64_t *wide = malloc((size_t)n * sizeof(*wide) + 1);
    moe_status_t status;

    if (wide == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %s", s->t->name);
    }
    status = moe_safetensors_read(s->file, s->t, 0, s->t->size_bytes, wide);
    for (int64_t i = 0; status == MOE_OK && i < n; i++) {
        ((int32_t *)rows->codes)[i] = wide[i] < INT32_MIN   ? INT32_MIN
                                      : wide[i] > INT32_MAX ? INT32_MAX
                                                            : (int32_t)wide[i];
    }
    free(wide);
    return status;
}

/* Bytes of rows of a tensor in a file, to lie one behind the other; from NULL:
 * all rows as they lie. Neighbours are read at once. */
static moe_status_t read_bytes(const source_t *s, int64_t row_bytes, int64_t n,
                               const int64_t *from, void *out)
{
    moe_status_t status = MOE_OK;
    int64_t end;

    for (int64_t i = 0; status == MOE_OK && i < n; i = end) {
        const int64_t first = from != NULL ? from[i] : i;

        for (end = i + 1; end < n && from != NULL; end++) {
            if (from[end] != first + end - i) {
                break;
            }
        }
        end = from != NULL ? end : n;
        status = moe_safetensors_read(s->file, s->t, first * row_bytes,
                                      (end - i) * row_bytes,
                                      (char *)out + i * row_bytes);
    }
    return status;
}

/* FP8 weights may have a scale of 128 x 128 elements (DeepSeek's checkpoints,
 * DeepGEMM): codes [experts][N][K], scales [experts][N / 128][K / 128]. */
static bool has_tiles(const source_t *s, const moe_safetensor_t *scales,
                      const moe_format_info_t *info, int64_t blocks)
{
    const moe_safetensor_t *codes = s->t;
    const int64_t n = codes->ndim == 3 && s->is_weights ? codes->dim[1] : 0;
    const int64_t tiles = n / TILE + (n % TILE != 0);

    return info->block == TILE && tiles < n && scales->ndim == 3 &&
           scales->dim[0] == codes->dim[0] && scales->dim[1] == tiles &&
           scales->dim[2] == blocks;
}

/* Each row has the scales of its tile. */
static moe_status_t read_tiles(const source_t *scales, int64_t per_expert,
                               int64_t row_bytes, const moe_rows_t *rows)
{
    const int64_t tiles = scales->t->dim[1];
    int64_t *from = malloc((size_t)rows->rows * sizeof(*from) + 1);
    moe_status_t status;

    if (from == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %s", scales->t->name);
    }
    for (int64_t i = 0; i < rows->rows; i++) {
        from[i] = i / per_expert * tiles + i % per_expert / TILE;
    }
    status = read_bytes(scales, row_bytes, rows->rows, from, rows->scales);
    free(from);
    return status;
}

static moe_status_t read_scales(const source_t *codes, const char *name,
                                int64_t n_codes, const int64_t *from,
                                moe_rows_t *rows)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const int64_t blocks =
        moe_format_scale_cols(rows->storage.format, rows->cols);
    const int64_t row_bytes = blocks * moe_dtype_bits(info->scale) / 8;
    source_t s = *codes;
    int64_t n;
    int64_t cols;
    int64_t packed;
    moe_status_t status;

    s.t = moe_safetensors_find(codes->file, name);
    if (s.t == NULL) {
        status = moe_fail(MOE_ERR_INPUT,
                          "%s: no tensor '%s' beside '%s': scales are wanted, "
                          "linear, %lld a row",
                          codes->path, name, codes->t->name, (long long)blocks);
    } else if (holds(s.t->dtype, info->scale, &packed) && from == NULL &&
               has_tiles(codes, s.t, info, blocks)) {
        status = read_tiles(&s, codes->t->dim[1], row_bytes, rows);
    } else if (!holds(s.t->dtype, info->scale, &packed) ||
               !shape_of(s.t, &n, &cols) || n != n_codes || cols != blocks) {
        status = refuse(&s, s.is_weights && info->block == TILE
                                ? "linear scales, one a block of each row or "
                                  "one of 128 x 128 elements"
                                : "linear scales, one a block of each row");
    } else {
        status = read_bytes(&s, row_bytes, rows->rows, from, rows->scales);
    }
    return status;
}

static moe_status_t read_rows(const source_t *s, const int64_t *from,
                              moe_rows_t *rows)
{
    if (rows->storage.format == MOE_FORMAT_i32 &&
        s->t->dtype == MOE_DTYPE_i64) {
        return narrow_ids(s, rows);
    }
    return read_bytes(s, moe_rows_code_bytes(rows), rows->rows, from,
                      rows->codes);
}

/* Memory for a tensor of a file, which may be sparse and of any size. */
static moe_status_t alloc_rows(const source_t *s, const moe_storage_t *storage,
                               int64_t rows, int64_t cols, moe_rows_t *rows_p)
{
    moe_status_t status = moe_ref_rows_alloc(storage, rows, cols, rows_p);

    if (status == MOE_ERR_NOMEM) {
        moe_error_clear();
        status = moe_fail(MOE_ERR_NOMEM,
                          "%s: byte %lld: tensor '%.80s' has %lld bytes, "
                          "expected one that fits in memory",
                          s->path, (long long)s->t->begin, s->t->name,
                          (long long)s->t->size_bytes);
    }
    return status;
}

/* The header says what was expected, or what it is: rows -1 are any number. */
static moe_status_t look(const source_t *s, int64_t rows, int64_t cols,
                         moe_storage_t *storage, int64_t *rows_p)
{
    const moe_format_t format = storage->format;
    char expected[128];
    int64_t packed;
    int64_t wide;

    if (rows >= 0) {
        (void)snprintf(expected, sizeof(expected),
                       "%s of %lld rows, %lld columns", moe_format_name(format),
                       (long long)rows, (long long)cols);
    } else {
        (void)snprintf(expected, sizeof(expected), "%s of %lld columns",
                       moe_format_name(format), (long long)cols);
    }
    if (!fit_storage(s->t, storage, &packed) ||
        !shape_of(s->t, rows_p, &wide) ||
        !is_wide(wide, packed, format, cols) ||
        (rows >= 0 && *rows_p != rows)) {
        return refuse(s, expected);
    }
    return MOE_OK;
}

/* Rows of a tensor that was looked at: n of them, or all. */
static moe_status_t load(const source_t *s, const char *scale,
                         const moe_storage_t *storage, int64_t rows,
                         int64_t cols, const int64_t *from, int64_t n,
                         moe_check_tensor_t *tensor_p)
{
    moe_status_t status = alloc_rows(s, storage, n, cols, &tensor_p->rows);

    if (status == MOE_OK) {
        status = read_rows(s, from, &tensor_p->rows);
    }
    if (status == MOE_OK && tensor_p->rows.scales != NULL) {
        status = read_scales(s, scale, rows, from, &tensor_p->rows);
    }
    if (status != MOE_OK) {
        moe_check_tensor_free(tensor_p);
    }
    return status;
}

moe_status_t moe_check_tensor_read_as(const moe_safetensors_t *file,
                                      const char *path, const char *name,
                                      const char *scale, bool is_weights,
                                      const moe_storage_t *storage,
                                      int64_t rows, int64_t cols,
                                      moe_check_tensor_t *tensor_p)
{
    const source_t s = {file, path, moe_safetensors_find(file, name),
                        is_weights};
    moe_storage_t fit = *storage;
    int64_t n;
    moe_status_t status;

    *tensor_p = (moe_check_tensor_t){0};
    if (s.t == NULL) {
        return MOE_OK;
    }
    status = look(&s, rows, cols, &fit, &n);
    return status == MOE_OK ? load(&s, scale, &fit, n, cols, NULL, n, tensor_p)
                            : status;
}

moe_status_t moe_check_tensor_read(const moe_safetensors_t *file,
                                   const char *path, const char *name,
                                   const moe_storage_t *storage, int64_t rows,
                                   int64_t cols, moe_check_tensor_t *tensor_p)
{
    char *scale = moe_strdup_printf("%s.scale", name);
    moe_status_t status;

    *tensor_p = (moe_check_tensor_t){0};
    if (scale == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a name");
    }
    status = moe_check_tensor_read_as(file, path, name, scale, false, storage,
                                      rows, cols, tensor_p);
    free(scale);
    return status;
}

moe_status_t moe_check_tensor_look(const moe_safetensors_t *file,
                                   const char *path, const char *name,
                                   const moe_storage_t *storage, int64_t cols,
                                   int64_t *rows_p, int64_t *per_expert_p)
{
    const source_t s = {file, path, moe_safetensors_find(file, name), false};
    moe_storage_t fit = *storage;

    *rows_p = -1;
    *per_expert_p = 0;
    if (s.t == NULL) {
        return MOE_OK;
    }
    *per_expert_p = s.t->ndim > 2 ? s.t->dim[s.t->ndim - 2] : 0;
    return look(&s, -1, cols, &fit, rows_p);
}

moe_status_t moe_check_tensor_gather(const moe_safetensors_t *file,
                                     const char *path, const char *name,
                                     const moe_storage_t *storage, int64_t cols,
                                     const moe_check_match_t *match,
                                     moe_check_tensor_t *tensor_p)
{
    const source_t s = {file, path, moe_safetensors_find(file, name), false};
    moe_storage_t fit = *storage;
    char *scale = moe_strdup_printf("%s.scale", name);
    int64_t rows;
    moe_status_t status;

    *tensor_p = (moe_check_tensor_t){0};
    if (scale == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a name");
    }
    status = look(&s, -1, cols, &fit, &rows);
    if (status == MOE_OK) {
        status =
            load(&s, scale, &fit, rows, cols, match->from, match->n, tensor_p);
    }
    free(scale);
    return status;
}

void moe_check_tensor_free(moe_check_tensor_t *tensor)
{
    moe_ref_rows_free(&tensor->rows);
}
