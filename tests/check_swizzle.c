/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/swizzle.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_BYTES = 1 << 18
};

static const struct {
    int64_t rows;
    int64_t blocks;
} shapes[] = {{0, 4},  {1, 1},   {7, 3},    {8, 4},   {9, 5},
              {31, 2}, {128, 4}, {129, 13}, {300, 7}, {256, 448}};

enum {
    SHAPES = sizeof(shapes) / sizeof(shapes[0])
};

static uint8_t linear[MAX_BYTES];
static uint8_t tiled[MAX_BYTES];
static uint8_t back[MAX_BYTES];

/* Codes that are never 0, so that padding shows. */
static void fill(int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        linear[i] = (uint8_t)(1 + (i * 2654435761u >> 7) % 255);
    }
}

static moe_scale_layout_t layout_of(int i)
{
    return (moe_scale_layout_t)(i / SHAPES);
}

START_TEST(tiling_and_back_is_identity)
{
    int64_t rows = shapes[_i % SHAPES].rows;
    int64_t blocks = shapes[_i % SHAPES].blocks;

    fill(rows * blocks);
    moe_scales_swizzle(layout_of(_i), rows, blocks, linear, tiled);
    moe_scales_unswizzle(layout_of(_i), rows, blocks, tiled, back);
    ck_assert_int_eq(memcmp(linear, back, (size_t)(rows * blocks)), 0);
}
END_TEST

START_TEST(each_scale_has_a_place_of_its_own_and_padding_is_zero)
{
    int64_t rows = shapes[_i % SHAPES].rows;
    int64_t blocks = shapes[_i % SHAPES].blocks;
    int64_t bytes = moe_scales_bytes(layout_of(_i), rows, blocks);
    int64_t used = 0;

    ck_assert_int_le(bytes, MAX_BYTES);
    fill(rows * blocks);
    memset(tiled, 0xff, sizeof(tiled));
    moe_scales_swizzle(layout_of(_i), rows, blocks, linear, tiled);
    for (int64_t i = 0; i < bytes; i++) {
        used += tiled[i] != 0;
    }
    ck_assert_int_eq(used, rows * blocks);
    ck_assert_uint_eq(tiled[bytes], 0xff);
}
END_TEST

/* The published view: [row tiles][block tiles][32][4][4] holds row 128 r +
 * 32 j + i, block 4 c + k at [r][c][i][j][k]. */
START_TEST(tiles_of_128_rows_are_the_published_permutation)
{
    enum {
        ROWS = 300,
        BLOCKS = 7
    };
    int64_t at = 0;

    fill(ROWS * BLOCKS);
    moe_scales_swizzle(MOE_SCALES_128x4, ROWS, BLOCKS, linear, tiled);
    ck_assert_int_eq(moe_scales_bytes(MOE_SCALES_128x4, ROWS, BLOCKS), 384 * 8);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 2; c++) {
            for (int inner = 0; inner < 512; inner++) {
                int row = 128 * r + 32 * (inner / 4 % 4) + inner / 16;
                int block = 4 * c + inner % 4;
                uint8_t want = row < ROWS && block < BLOCKS
                                   ? linear[row * BLOCKS + block]
                                   : 0;

                ck_assert_uint_eq(tiled[at++], want);
            }
        }
    }
}
END_TEST

/*
 * As numpy has it: scales padded with zeros, reshaped to [row tiles][n][m]
 * [block tiles][4], then axes put in another order: 128 x 4 has n = 4, m = 32
 * and the order (tile, block tile, m, n, 4), 8 x 4 n = 1 and m = 8.
 */
static void transpose(const uint8_t *from, int64_t rows, int64_t blocks, int n,
                      int m, uint8_t *to)
{
    for (int64_t tile = 0; tile * n * m < rows; tile++) {
        for (int64_t k = 0; 4 * k < blocks; k++) {
            for (int at = 0; at < 4 * n * m; at++) {
                int64_t row = (tile * n + at / 4 % n) * m + at / 4 / n;
                int64_t block = 4 * k + at % 4;

                *to++ = row < rows && block < blocks
                            ? from[row * blocks + block]
                            : 0;
            }
        }
    }
}

static void define(moe_scale_layout_t layout, int64_t rows, int64_t blocks,
                   uint8_t *to)
{
    if (layout == MOE_SCALES_linear) {
        memcpy(to, linear, (size_t)(rows * blocks));
    } else {
        transpose(linear, rows, blocks, layout == MOE_SCALES_128x4 ? 4 : 1,
                  layout == MOE_SCALES_128x4 ? 32 : 8, to);
    }
}

START_TEST(layouts_are_transpositions_of_the_padded_matrix)
{
    int64_t rows = shapes[_i % SHAPES].rows;
    int64_t blocks = shapes[_i % SHAPES].blocks;
    int64_t bytes = moe_scales_bytes(layout_of(_i), rows, blocks);

    fill(rows * blocks);
    define(layout_of(_i), rows, blocks, back);
    moe_scales_swizzle(layout_of(_i), rows, blocks, linear, tiled);
    ck_assert_int_eq(memcmp(tiled, back, (size_t)bytes), 0);
}
END_TEST

START_TEST(tiles_of_8_rows_lie_row_by_row)
{
    fill(9 * 5);
    moe_scales_swizzle(MOE_SCALES_8x4, 9, 5, linear, tiled);
    ck_assert_int_eq(moe_scales_bytes(MOE_SCALES_8x4, 9, 5), 16 * 8);
    ck_assert_uint_eq(tiled[0], linear[0]);
    ck_assert_uint_eq(tiled[4], linear[5]);
    ck_assert_uint_eq(tiled[32], linear[4]);
    ck_assert_uint_eq(tiled[33], 0);
    ck_assert_uint_eq(tiled[64], linear[8 * 5]);
}
END_TEST

/* Rows cut in two, each part tiled, the parts put together. */
static bool concatenates(moe_scale_layout_t layout, int64_t first,
                         int64_t second, int64_t blocks)
{
    static uint8_t parts[MAX_BYTES];
    int64_t bytes = moe_scales_bytes(layout, first + second, blocks);
    int64_t size = moe_scales_bytes(layout, first, blocks);

    fill((first + second) * blocks);
    moe_scales_swizzle(layout, first + second, blocks, linear, tiled);
    memset(parts, 0, sizeof(parts));
    moe_scales_swizzle(layout, first, blocks, linear, parts);
    moe_scales_swizzle(layout, second, blocks, linear + first * blocks,
                       parts + size);
    return size + moe_scales_bytes(layout, second, blocks) == bytes &&
           memcmp(parts, tiled, (size_t)bytes) == 0;
}

START_TEST(shards_concatenate_if_their_rows_fill_tiles)
{
    ck_assert(concatenates(MOE_SCALES_128x4, 128, 128, 6));
    ck_assert(concatenates(MOE_SCALES_128x4, 256, 3, 6));
    ck_assert(concatenates(MOE_SCALES_8x4, 8, 16, 6));
    ck_assert(concatenates(MOE_SCALES_linear, 3, 5, 6));
}
END_TEST

START_TEST(other_shards_do_not_concatenate)
{
    ck_assert(!concatenates(MOE_SCALES_128x4, 127, 1, 6));
    ck_assert(!concatenates(MOE_SCALES_128x4, 64, 64, 6));
    ck_assert(!concatenates(MOE_SCALES_128x4, 129, 127, 6));
    ck_assert(!concatenates(MOE_SCALES_8x4, 4, 4, 6));
}
END_TEST

/* Rows of shards, with an empty one, one without padding and others. */
static const int64_t shard_rows[][5] = {
    {3, 130, 0, 128, 61}, {128, 256, 0, 128, 5}, {0, 0, 0, 0, 0},
    {8, 8, 16, 9, 0},     {8, 8, 16, 9, 1},      {1, 1, 1, 1, 1}};

enum {
    SHARDS = 5,
    SPLITS = sizeof(shard_rows) / sizeof(shard_rows[0]),
    SHARD_BLOCKS = 13
};

/* Each shard as the definition has it, one after the other; their bytes. */
static int64_t make_shards(moe_scale_layout_t layout, const int64_t *rows,
                           uint8_t *parts, const uint8_t **shard)
{
    int64_t total = 0;
    uint8_t *at = parts;

    for (int i = 0; i < SHARDS; i++) {
        total += rows[i];
    }
    fill(total * SHARD_BLOCKS);
    total = 0;
    for (int i = 0; i < SHARDS; i++) {
        shard[i] = at;
        moe_scales_swizzle(layout, rows[i], SHARD_BLOCKS,
                           linear + total * SHARD_BLOCKS, at);
        total += rows[i];
        at += moe_scales_bytes(layout, rows[i], SHARD_BLOCKS);
    }
    return at - parts;
}

START_TEST(gathered_shards_are_the_tiled_whole)
{
    static uint8_t parts[MAX_BYTES];
    moe_scale_layout_t layout = (moe_scale_layout_t)(_i / SPLITS);
    const int64_t *rows = shard_rows[_i % SPLITS];
    const uint8_t *shard[SHARDS];
    int64_t size = make_shards(layout, rows, parts, shard);
    int64_t total = rows[0] + rows[1] + rows[2] + rows[3] + rows[4];
    int64_t bytes = moe_scales_bytes(layout, total, SHARD_BLOCKS);

    memset(tiled, 0xff, sizeof(tiled));
    moe_scales_gather(layout, rows, SHARDS, SHARD_BLOCKS, shard, tiled);
    define(layout, total, SHARD_BLOCKS, back);
    ck_assert_int_eq(memcmp(tiled, back, (size_t)bytes), 0);
    ck_assert_uint_eq(tiled[bytes], 0xff);
    ck_assert_int_eq(moe_scales_concatenate(layout, rows, SHARDS),
                     size == bytes && memcmp(parts, tiled, (size_t)bytes) == 0);
}
END_TEST

START_TEST(one_token_of_7168_takes_448_or_57344_bytes)
{
    ck_assert_int_eq(moe_scales_bytes(MOE_SCALES_linear, 1, 448), 448);
    ck_assert_int_eq(moe_scales_bytes(MOE_SCALES_128x4, 1, 448), 57344);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("swizzle");
    TCase *tests = tcase_create("swizzle");
    int cases = (int)MOE_SCALES_COUNT * (int)SHAPES;

    tcase_add_loop_test(tests, tiling_and_back_is_identity, 0, cases);
    tcase_add_loop_test(
        tests, each_scale_has_a_place_of_its_own_and_padding_is_zero, 0, cases);
    tcase_add_test(tests, tiles_of_128_rows_are_the_published_permutation);
    tcase_add_loop_test(tests, layouts_are_transpositions_of_the_padded_matrix,
                        0, cases);
    tcase_add_loop_test(tests, gathered_shards_are_the_tiled_whole, 0,
                        (int)MOE_SCALES_COUNT * (int)SPLITS);
    tcase_add_test(tests, tiles_of_8_rows_lie_row_by_row);
    tcase_add_test(tests, shards_concatenate_if_their_rows_fill_tiles);
    tcase_add_test(tests, other_shards_do_not_concatenate);
    tcase_add_test(tests, one_token_of_7168_takes_448_or_57344_bytes);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
