/* SPDX-License-Identifier: Apache-2.0 */
/* A float tensor in a wider type than the chain's, or another of 16 bits: if
 * each of its numbers is one of the chain's format, it was rounded to that, and
 * is judged so. If most are, it was too, and the others are wrong: those few
 * are judged as they stand. Else it was not, and its own type says how far it
 * may be. */
#include "sim/check/told.h"

#include "ref/formats.h"

#include <math.h>

static bool may_narrow(moe_format_t from, moe_format_t to)
{
    return from != to && moe_format_is_float(from) && moe_format_is_float(to) &&
           moe_dtype_bits(moe_format_info(to)->code) <=
               moe_dtype_bits(moe_format_info(from)->code);
}

/* Numbers of a tensor but zeros, which are of any format. */
typedef struct {
    int64_t all;
    int64_t fit; /* of them those of the format */
} count_t;

static void narrow_row(const moe_rows_t *in, int64_t row, const moe_rows_t *out,
                       count_t *count)
{
    const moe_format_t format = out->storage.format;

    for (int64_t c = 0; c < in->cols; c++) {
        const double x = moe_rows_value(in, row, c);
        const uint32_t bits = moe_round_f64(format, x);
        const double y = moe_float_value(format, bits);

        count->all += isnan(x) || fabs(x) > 0.0;
        count->fit += isnan(x) ? isnan(y) : fabs(x) > 0.0 && y >= x && y <= x;
        moe_float_store(format, moe_rows_codes(out, row), c, bits);
    }
}

moe_status_t moe_check_narrow(moe_format_t format, moe_check_tensor_t *tensor)
{
    const moe_rows_t *in = &tensor->rows;
    const moe_storage_t storage = {.format = format};
    moe_rows_t out = {0};
    count_t count = {0, 0};
    moe_status_t status;

    if (in->codes == NULL || !may_narrow(in->storage.format, format)) {
        return MOE_OK;
    }
    status = moe_ref_rows_alloc(&storage, in->rows, in->cols, &out);
    for (int64_t row = 0; status == MOE_OK && row < in->rows; row++) {
        narrow_row(in, row, &out, &count);
    }
    tensor->mostly = in->storage.format == MOE_FORMAT_fp32 &&
                     count.fit < count.all && 2 * count.fit > count.all;
    if (status != MOE_OK || count.fit < count.all) {
        moe_ref_rows_free(&out);
        return status;
    }
    moe_check_tensor_free(tensor);
    tensor->rows = out;
    return MOE_OK;
}
