/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversions of single elements against their definition, which shares
 * nothing with them: exact values of the codes from digits and bias, exact
 * midpoints, ties to the even code. make check takes a stride of the 2^32
 * floats and those beside every border, make check-full all of them.
 */
#include "config.h"

#include "ref/elements.h"
#include "tests/support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    STRIDE = 4099, /* of the quick sweep; prime */
    MAX_CODES = 0x8000,
    MAX_THREADS = 64,
    PIECE_BITS = 20, /* of a thread's piece of the full sweep */
    SECONDS = 3600   /* at most, of the full sweep */
};

#define INFINITE  0x7f800000u
#define MAGNITUDE 0x7fffffffu

/* How codes lie: so many stored digits, this bias, finite magnitudes from 0
 * to n - 1. What is beyond them all becomes code beyond. */
typedef struct {
    int digits;
    int bias;
    uint32_t n;
    uint32_t beyond;
    uint32_t sign; /* bit of the code; 0 without signs */
    uint32_t nan;  /* code of every NaN; 0: any beyond n, the sign kept */
    enum {
        NEAREST,
        UP,
        DOWN
    } rounding;
} definition_t;

static const definition_t definitions[MOE_CONVERSION_COUNT] = {
    [MOE_CONVERSION_bf16] = {7, 127, 0x7f80, 0x7f80, 0x8000, 0, NEAREST},
    [MOE_CONVERSION_fp16] = {10, 15, 0x7c00, 0x7c00, 0x8000, 0, NEAREST},
    [MOE_CONVERSION_e2m1] = {1, 1, 8, 7, 8, 7, NEAREST},
    [MOE_CONVERSION_e4m3] = {3, 7, 0x7f, 0x7e, 0x80, 0x7f, NEAREST},
    [MOE_CONVERSION_e4m3_nosat] = {3, 7, 0x7f, 0x7f, 0x80, 0x7f, NEAREST},
    [MOE_CONVERSION_e5m2] = {2, 15, 0x7c, 0x7b, 0x80, 0x7f, NEAREST},
    [MOE_CONVERSION_e5m2_nosat] = {2, 15, 0x7c, 0x7c, 0x80, 0x7f, NEAREST},
    [MOE_CONVERSION_e8m0] = {0, 127, 255, 254, 0, 255, UP},
    [MOE_CONVERSION_e8m0_nosat] = {0, 127, 255, 255, 0, 255, UP},
    [MOE_CONVERSION_e8m0_zero] = {0, 127, 255, 254, 0, 255, DOWN},
    [MOE_CONVERSION_e8m0_zero_nosat] = {0, 127, 255, 255, 0, 255, DOWN},
};

/* Value of a code from 0 to n, where the one that would follow counts too. */
static double value_of(const definition_t *d, uint32_t code)
{
    int exponent = (int)(code >> d->digits);
    int digits = (int)(code & ((1u << d->digits) - 1));

    if (d->sign == 0) {
        return ldexp(1.0, (int)code - d->bias);
    }
    return exponent == 0 ? ldexp(digits, 1 - d->bias - d->digits)
                         : ldexp(digits + (1 << d->digits),
                                 exponent - d->bias - d->digits);
}

/* last[code]: bits of the largest float that becomes the code. Every border
 * is a float. */
static uint32_t last[MAX_CODES];

static uint32_t border_of(const definition_t *d, uint32_t code)
{
    double low = value_of(d, code);
    double high = value_of(d, code + 1);

    if (d->rounding == UP) {
        return moe_f32_bits((float)low);
    }
    if (d->rounding == DOWN) {
        return moe_f32_bits((float)high) - 1;
    }
    return moe_f32_bits((float)(low / 2 + high / 2)) - code % 2;
}

static const definition_t *define(int conversion)
{
    const definition_t *d = &definitions[conversion];

    for (uint32_t code = 0; code < d->n; code++) {
        last[code] = border_of(d, code);
    }
    return d;
}

/* First code whose floats reach the magnitude; n if none does. */
static uint32_t search(const definition_t *d, uint32_t magnitude)
{
    uint32_t low = 0;
    uint32_t high = d->n;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (last[middle] < magnitude) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_right_nan(const definition_t *d, uint32_t bits, uint32_t got)
{
    uint32_t sign = bits >> 31 != 0 ? d->sign : 0;

    if (d->nan != 0) {
        return got == d->nan;
    }
    return (got & d->sign) == sign && (got & (d->sign - 1)) > d->n;
}

/* Is got the code of a float? code is the first that reaches it. */
static bool is_right(const definition_t *d, uint32_t bits, uint32_t code,
                     uint32_t got)
{
    if ((bits & MAGNITUDE) > INFINITE) {
        return is_right_nan(d, bits, got);
    }
    return got ==
           ((bits >> 31 != 0 ? d->sign : 0) | (code < d->n ? code : d->beyond));
}

/* Asserts cost a system call each: only a failure reaches one. */
static void expect_code(int conversion, uint32_t bits)
{
    const definition_t *d = &definitions[conversion];
    const moe_conversion_info_t *info =
        moe_conversion_info((moe_conversion_t)conversion);
    uint32_t got = info->encode(moe_f32_of_bits(bits));

    if (!is_right(d, bits, search(d, bits & MAGNITUDE), got)) {
        ck_abort_msg("%s of %08x: %x", info->name, bits, got);
    }
}

START_TEST(a_sweep_over_floats_gives_the_defined_codes)
{
    (void)define(_i);
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STRIDE) {
        expect_code(_i, (uint32_t)bits);
    }
}
END_TEST

START_TEST(floats_beside_every_border_go_to_the_right_side)
{
    const definition_t *d = define(_i);

    for (uint32_t code = 0; code < d->n; code++) {
        for (uint32_t step = 0; step < 5; step++) {
            uint32_t bits = last[code] - 2 + step;

            expect_code(_i, bits & MAGNITUDE);
            expect_code(_i, bits | ~MAGNITUDE);
        }
    }
}
END_TEST

START_TEST(special_floats_give_the_defined_codes)
{
    static const uint32_t special[] = {
        0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
        0x7f800001, 0xff800001, 0x00000001, 0x7f7fffff, 0xff7fffff, 0xffffffff};

    (void)define(_i);
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        expect_code(_i, special[i]);
    }
}
END_TEST

START_TEST(every_code_decodes_to_its_value_and_comes_back)
{
    const definition_t *d = define(_i);
    const moe_conversion_info_t *info =
        moe_conversion_info((moe_conversion_t)_i);

    for (uint32_t code = 0; code < d->n; code++) {
        float value = info->decode(code);

        ck_assert_uint_eq(moe_f32_bits(value),
                          moe_f32_bits((float)value_of(d, code)));
        ck_assert_uint_eq(info->encode(value), code);
        if (d->sign != 0) {
            ck_assert_uint_eq(moe_f32_bits(info->decode(code | d->sign)),
                              moe_f32_bits(-value));
            ck_assert_uint_eq(info->encode(-value), code | d->sign);
        }
    }
}
END_TEST

/* Codes after the finite ones: an infinity where a type has one, then NaN. */
START_TEST(codes_beyond_the_finite_ones_are_infinity_or_nan)
{
    const definition_t *d = define(_i);
    const moe_conversion_info_t *info =
        moe_conversion_info((moe_conversion_t)_i);
    int bits = moe_dtype_bits(info->dtype);
    uint32_t end = d->sign != 0 ? d->sign : 1u << bits;
    bool infinite = d->sign != 0 && d->n % (1u << d->digits) == 0;

    for (uint32_t code = d->n; code < end; code++) {
        if (infinite && code == d->n) {
            ck_assert_uint_eq(moe_f32_bits(info->decode(code)), INFINITE);
        } else {
            ck_assert(isnan(info->decode(code)));
            ck_assert(isnan(info->decode(code | d->sign)));
        }
    }
}
END_TEST

/* What the threads of a full sweep share. */
typedef struct {
    const definition_t *d;
    uint32_t (*encode)(float x);
    atomic_uint next; /* piece */
    atomic_uint_least64_t wrong;
    atomic_uint_least32_t example;
} sweep_t;

static void sweep_piece(sweep_t *sweep, uint32_t first)
{
    const definition_t *d = sweep->d;
    uint32_t code = search(d, first & MAGNITUDE);

    for (uint32_t i = 0; i < 1u << PIECE_BITS; i++) {
        uint32_t bits = first + i;
        uint32_t magnitude = bits & MAGNITUDE;

        while (code < d->n && last[code] < magnitude) {
            code++;
        }
        if (!is_right(d, bits, code, sweep->encode(moe_f32_of_bits(bits)))) {
            atomic_fetch_add(&sweep->wrong, 1);
            atomic_store(&sweep->example, bits);
        }
    }
}

static void *sweep_thread(void *data)
{
    sweep_t *sweep = data;
    uint32_t piece;

    while ((piece = atomic_fetch_add(&sweep->next, 1)) <
           1u << (32 - PIECE_BITS)) {
        sweep_piece(sweep, piece << PIECE_BITS);
    }
    return NULL;
}

static int thread_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n;
}

START_TEST(all_floats_give_the_defined_codes)
{
    const moe_conversion_info_t *info =
        moe_conversion_info((moe_conversion_t)_i);
    sweep_t sweep = {.d = define(_i), .encode = info->encode};
    pthread_t threads[MAX_THREADS];
    int n = thread_count();

    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, sweep_thread, &sweep), 0);
    }
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_msg(sweep.wrong == 0, "%s: %llu floats wrong, one is %08x",
                  info->name, (unsigned long long)sweep.wrong,
                  (unsigned)sweep.example);
}
END_TEST

START_TEST(each_conversion_is_found_by_its_name)
{
    moe_conversion_t found = MOE_CONVERSION_COUNT;

    ck_assert(moe_conversion_find(
        moe_conversion_info((moe_conversion_t)_i)->name, &found));
    ck_assert_int_eq((int)found, _i);
    ck_assert(!moe_conversion_find("e3m2", &found));
    ck_assert_ptr_null(moe_conversion_info(MOE_CONVERSION_COUNT));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elements");
    TCase *tests = tcase_create("elements");
    int n = MOE_CONVERSION_COUNT;

    tcase_add_loop_test(tests, a_sweep_over_floats_gives_the_defined_codes, 0,
                        n);
    tcase_add_loop_test(tests, floats_beside_every_border_go_to_the_right_side,
                        0, n);
    tcase_add_loop_test(tests, special_floats_give_the_defined_codes, 0, n);
    tcase_add_loop_test(tests, every_code_decodes_to_its_value_and_comes_back,
                        0, n);
    tcase_add_loop_test(tests, codes_beyond_the_finite_ones_are_infinity_or_nan,
                        0, n);
    tcase_add_loop_test(tests, each_conversion_is_found_by_its_name, 0, n);
    suite_add_tcase(suite, tests);
    if (moe_test_full()) {
        TCase *full = tcase_create("all floats");

        tcase_set_timeout(full, SECONDS);
        tcase_add_loop_test(full, all_floats_give_the_defined_codes, 0, n);
        suite_add_tcase(suite, full);
    }
    return moe_suite_main(suite);
}
