/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Any file is good safetensors or refused with a message; the tensors of a
 * good one cover its data.
 */
#include "config.h"

#include "base/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Each tensor: in the file, as large as its shape says, found and read. */
static void walk(const moe_safetensors_t *file, size_t file_bytes)
{
    int64_t end = 0;

    for (size_t i = 0; i < moe_safetensors_count(file); i++) {
        const moe_safetensor_t *t = moe_safetensors_get(file, i);
        int64_t elements = 1;
        unsigned char byte[1];

        fuzz_check(i == 0 || t->begin == end, "no holes");
        end = t->begin + t->size_bytes;
        for (int d = 0; d < t->ndim; d++) {
            elements *= t->dim[d];
        }
        fuzz_check(moe_dtype_bytes(t->dtype, elements) == t->size_bytes,
                   "size is that of the shape");
        fuzz_check(strcmp(moe_safetensors_find(file, t->name)->name, t->name) ==
                       0,
                   "found by name");
        if (t->size_bytes > 0) {
            fuzz_check(moe_safetensors_read(file, t, t->size_bytes - 1, 1,
                                            byte) == MOE_OK,
                       "the last byte can be read");
        }
        fuzz_check(moe_safetensors_read(file, t, t->size_bytes, 1, byte) ==
                       MOE_ERR_RANGE,
                   "the byte after it cannot");
    }
    fuzz_check(moe_safetensors_count(file) == 0 || (size_t)end == file_bytes,
               "all data belong to tensors");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    moe_safetensors_t *file = NULL;
    moe_status_t status;

    moe_error_clear();
    status = moe_safetensors_open(fuzz_file(data, size), &file);
    fuzz_check((status == MOE_OK) == (file != NULL), "a file or none");
    if (status == MOE_OK) {
        walk(file, size);
    } else {
        fuzz_check(status == MOE_ERR_INPUT, "the input is wrong");
        fuzz_check(strchr(moe_error_text(), ':') != NULL, "a message");
    }
    moe_safetensors_close(file);
    moe_error_clear();
    return 0;
}
