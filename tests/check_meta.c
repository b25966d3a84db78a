/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "tests/layers.h"

#include <string.h>

enum {
    RANKS = 6
};

static int n_asked;

/* A number that tells who contributed, and what it saw. */
static void contribute(const moe_layer_t *layer, const int64_t *options,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    n_asked++;
    out[0] = 100 * rank + options[0];
    out[1] = layer->tokens[rank] + routing->n;
}

static void ask(moe_backend_t *meta, const moe_test_layer_t *t, int rank,
                int64_t number, moe_group_t group, const int *ranks, int n)
{
    static const int64_t options[MOE_OPTIONS_MAX] = {7};
    int64_t out[2 * RANKS] = {0};
    moe_trace_record_t record = {0};
    moe_agree_t agree = {.group = group,
                         .ranks = ranks,
                         .n_ranks = n,
                         .me = rank % n,
                         .kind = MOE_AGREE_host,
                         .number = number,
                         .n = 2,
                         .layer = &t->layer,
                         .options = options,
                         .contribute = contribute};

    ck_assert_int_eq(meta->agree(meta, &agree, out, &record), MOE_OK);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(out[2 * i], 100 * ranks[i] + 7);
        ck_assert_int_eq(out[2 * i + 1], t->tokens[ranks[i]] + t->routing.n);
    }
}

START_TEST(an_agreement_asks_each_member_once_for_all_ranks)
{
    static const int all[RANKS] = {0, 1, 2, 3, 4, 5};
    static const int half[2][3] = {{0, 1, 2}, {3, 4, 5}};
    moe_model_t small = moe_test_small();
    moe_backend_t *meta;
    moe_test_layer_t t;

    moe_test_layer_init(&t, &small, RANKS, MOE_TOKENS_ragged, 9);
    ck_assert_int_eq(moe_meta_create(NULL, &t.routing, &meta), MOE_OK);
    n_asked = 0;
    for (int r = 0; r < RANKS; r++) {
        ask(meta, &t, r, 1, MOE_GROUP_ep, all, RANKS);
        ask(meta, &t, r, 2, MOE_GROUP_ep, all, RANKS);
        ask(meta, &t, r, 3, MOE_GROUP_node, half[r / 3], 3);
    }
    ck_assert_int_eq(n_asked, 3 * RANKS);
    moe_meta_free(meta);
    moe_test_layer_fini(&t);
}
END_TEST

/* To each member a number that names both. */
static void tell(const moe_layer_t *layer, const int64_t *options, int rank,
                 const moe_routing_t *routing, int64_t *out)
{
    (void)options;
    (void)routing;
    for (int i = 0; i < layer->layout.dp; i++) {
        out[i] = -100 * rank - i;
    }
}

START_TEST(ranks_hear_what_each_member_tells_them_and_the_maxima)
{
    static const int all[RANKS] = {0, 1, 2, 3, 4, 5};
    moe_model_t small = moe_test_small();
    moe_trace_record_t record = {0};
    int64_t out[RANKS];
    moe_backend_t *meta;
    moe_test_layer_t t;

    moe_test_layer_init(&t, &small, RANKS, MOE_TOKENS_equal, 1);
    ck_assert_int_eq(moe_meta_create(NULL, &t.routing, &meta), MOE_OK);
    for (int r = 0; r < RANKS; r++) {
        moe_agree_t agree = {.group = MOE_GROUP_ep,
                             .ranks = all,
                             .n_ranks = RANKS,
                             .me = r,
                             .want = MOE_WANT_told,
                             .number = 1,
                             .n = RANKS,
                             .layer = &t.layer,
                             .contribute = tell};

        ck_assert_int_eq(meta->agree(meta, &agree, out, &record), MOE_OK);
        for (int s = 0; s < RANKS; s++) {
            ck_assert_int_eq(out[s], -100 * s - r);
        }
        agree.number = 2;
        agree.want = MOE_WANT_max;
        ck_assert_int_eq(meta->agree(meta, &agree, out, &record), MOE_OK);
        for (int i = 0; i < RANKS; i++) {
            ck_assert_int_eq(out[i], -i);
        }
    }
    moe_meta_free(meta);
    moe_test_layer_fini(&t);
}
END_TEST

START_TEST(ranks_that_expect_other_numbers_are_told)
{
    static const int all[2] = {0, 1};
    static const int64_t options[MOE_OPTIONS_MAX] = {0};
    moe_model_t small = moe_test_small();
    int64_t out[6];
    moe_trace_record_t record = {0};
    moe_backend_t *meta;
    moe_test_layer_t t;
    moe_agree_t agree = {.group = MOE_GROUP_ep,
                         .ranks = all,
                         .n_ranks = 2,
                         .number = 1,
                         .n = 2,
                         .options = options,
                         .contribute = contribute};

    moe_test_layer_init(&t, &small, 2, MOE_TOKENS_equal, 1);
    agree.layer = &t.layer;
    ck_assert_int_eq(moe_meta_create(NULL, &t.routing, &meta), MOE_OK);
    ck_assert_int_eq(meta->agree(meta, &agree, out, &record), MOE_OK);
    agree.n = 3;
    ck_assert_int_eq(meta->agree(meta, &agree, out, &record), MOE_ERR_DISAGREE);
    moe_meta_free(meta);
    moe_test_layer_fini(&t);
}
END_TEST

/* Bytes of a tensor of 130 rows and 6 columns. */
static int64_t storage(moe_dtype_t dtype, bool is_scale,
                       moe_scale_layout_t layout, moe_tensor_t *parent)
{
    moe_tensor_t t = {.dtype = dtype,
                      .ndim = 2,
                      .dim = {130, 6, 1, 1},
                      .row_stride = 6,
                      .valid_rows = 130,
                      .is_scale = is_scale,
                      .scale_layout = layout,
                      .parent = parent};
    moe_routing_t routing = {0};
    moe_backend_t *meta;
    int64_t bytes;

    ck_assert_int_eq(moe_meta_create(NULL, &routing, &meta), MOE_OK);
    bytes = meta->storage_bytes(&t);
    moe_meta_free(meta);
    return bytes;
}

START_TEST(storage_is_the_modelled_one_with_padding_and_without_views)
{
    moe_tensor_t parent = {0};

    ck_assert_int_eq(storage(MOE_DTYPE_bf16, false, MOE_SCALES_linear, NULL),
                     130 * 6 * 2);
    ck_assert_int_eq(storage(MOE_DTYPE_bf16, false, MOE_SCALES_linear, &parent),
                     0);
    ck_assert_int_eq(storage(MOE_DTYPE_e4m3, true, MOE_SCALES_linear, NULL),
                     130 * 6);
    ck_assert_int_eq(storage(MOE_DTYPE_e4m3, true, MOE_SCALES_128x4, NULL),
                     256 * 8);
    ck_assert_int_eq(storage(MOE_DTYPE_e4m3, true, MOE_SCALES_8x4, NULL),
                     136 * 8);
}
END_TEST

static int64_t seven(const moe_tensor_t *tensor)
{
    (void)tensor;
    return 7;
}

static int64_t eleven(const moe_layer_t *layer, const moe_call_t *call)
{
    (void)layer;
    (void)call;
    return 11;
}

START_TEST(storage_and_workspace_are_those_of_the_backend_it_stands_for)
{
    moe_backend_t like = {.storage_bytes = seven, .workspace_bytes = eleven};
    moe_routing_t routing = {0};
    moe_backend_t *meta;

    ck_assert_int_eq(moe_meta_create(&like, &routing, &meta), MOE_OK);
    ck_assert_int_eq(meta->storage_bytes(NULL), 7);
    ck_assert_int_eq(meta->workspace_bytes(NULL, NULL), 11);
    moe_meta_free(meta);
    moe_meta_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("meta");
    TCase *tcase = tcase_create("meta");

    tcase_add_test(tcase, an_agreement_asks_each_member_once_for_all_ranks);
    tcase_add_test(tcase, ranks_that_expect_other_numbers_are_told);
    tcase_add_test(tcase,
                   ranks_hear_what_each_member_tells_them_and_the_maxima);
    tcase_add_test(tcase,
                   storage_is_the_modelled_one_with_padding_and_without_views);
    tcase_add_test(
        tcase, storage_and_workspace_are_those_of_the_backend_it_stands_for);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
