/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Sizes that are checked for overflow before they are used.
 */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** *out_p = a * b; false (and *out_p untouched) if it does not fit. */
static inline bool moe_mul_i64(int64_t a, int64_t b, int64_t *out_p)
{
    int64_t r;

    if (__builtin_mul_overflow(a, b, &r)) {
        return false;
    }
    *out_p = r;
    return true;
}

/** *out_p = a + b; false (and *out_p untouched) if it does not fit. */
static inline bool moe_add_i64(int64_t a, int64_t b, int64_t *out_p)
{
    int64_t r;

    if (__builtin_add_overflow(a, b, &r)) {
        return false;
    }
    *out_p = r;
    return true;
}

/** *out_p = a * b as a size for malloc; false if negative or too large. */
static inline bool moe_mul_size(int64_t a, int64_t b, size_t *out_p)
{
    int64_t r;

    if (a < 0 || b < 0 || !moe_mul_i64(a, b, &r) || r > PTRDIFF_MAX) {
        return false;
    }
    *out_p = (size_t)r;
    return true;
}

/** ceil(a / b) for a >= 0, b > 0. */
static inline int64_t moe_div_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

#endif
