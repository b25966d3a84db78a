/* SPDX-License-Identifier: Apache-2.0 */
/* What the judge notices and what it lets pass, on full-size rows: a float32
 * emulation of a fused kernel, one token at a time. `make check` does a few
 * draws, `make check-full` those that doc/judging.md counts. */
#include "ref/judge.h"

#include "tests/fused_kernel.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const moe_model_t shapes[] = {
    {.name = "gpt-oss-120b",
     .hidden = 2880,
     .intermediate = 2880,
     .experts = 128,
     .topk = 4,
     .n_group = 1,
     .topk_group = 1,
     .score = MOE_SCORE_softmax,
     .renormalize = true,
     .routed_scaling = 1.0f},
    {.name = "deepseek-v3",
     .hidden = 7168,
     .intermediate = 2048,
     .experts = 256,
     .topk = 8,
     .n_group = 8,
     .topk_group = 4,
     .score = MOE_SCORE_sigmoid,
     .bias = true,
     .renormalize = true,
     .routed_scaling = 2.5f},
    {.name = "mixtral-8x7b",
     .hidden = 4096,
     .intermediate = 14336,
     .experts = 8,
     .topk = 2,
     .n_group = 1,
     .topk_group = 1,
     .score = MOE_SCORE_softmax,
     .renormalize = true,
     .routed_scaling = 1.0f},
};

enum {
    SHAPES = sizeof(shapes) / sizeof(shapes[0]),
    CHECK_ELEMENTS = 10000000 /* of a whole check, of which this is a part */
};

/* One draw of inputs: kernel, judge, what the kernel gives. */
typedef struct {
    moe_ref_layer_t layer; /* two tokens */
    kernel_t kernel;
    moe_judge_t judge; /* the first of them */
    kernel_out_t out;
    uint16_t *ordered[MOE_ROLE_COUNT]; /* rows as the judge wants them */
} bench_t;

static moe_ref_case_t case_of(const moe_model_t *m, uint64_t seed,
                              int64_t tokens)
{
    moe_ref_case_t about = {.model = m,
                            .seed = seed,
                            .tokens = {0, tokens},
                            .experts = {0, m->experts}};
    moe_storage_t *at = about.chain.at;

    about.chain.weights = MOE_FORMAT_nvfp4; /* the rest is bf16, 0 */
    at[MOE_ROLE_dispatch].format = MOE_FORMAT_nvfp4;
    at[MOE_ROLE_expert_in].format = MOE_FORMAT_nvfp4;
    at[MOE_ROLE_gemm2_in].format = MOE_FORMAT_nvfp4;
    moe_storage_default(&at[MOE_ROLE_dispatch], MOE_FILL_HIDDEN_BOUND);
    moe_storage_default(&at[MOE_ROLE_expert_in], MOE_FILL_HIDDEN_BOUND);
    moe_storage_default(&at[MOE_ROLE_gemm2_in], MOE_FILL_ACT_BOUND);
    return about;
}

static uint16_t *halves(int64_t n)
{
    uint16_t *x = calloc((size_t)n, sizeof(*x));

    ck_assert_ptr_nonnull(x);
    return x;
}

static void bench_init(const moe_model_t *m, uint64_t seed, bench_t *bench)
{
    const moe_ref_case_t two = case_of(m, seed, 2);
    const moe_ref_case_t one = case_of(m, seed, 1);
    const int64_t k = m->topk;

    ck_assert_int_eq(moe_ref_layer_init(&two, &bench->layer), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&bench->layer, MOE_ROLE_expert_in),
                     MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&bench->layer, MOE_ROLE_topk_weights),
                     MOE_OK);
    kernel_init(&bench->layer, seed, &bench->kernel);
    ck_assert_int_eq(moe_judge_init(&one, MOE_ACCUMULATOR_fp32, CHECK_ELEMENTS,
                                    &bench->judge),
                     MOE_OK);
    bench->out = (kernel_out_t){halves(k * 2 * m->intermediate),
                                halves(k * m->intermediate),
                                halves(k * m->hidden), halves(m->hidden)};
    bench->ordered[MOE_ROLE_gemm1_out] = halves(k * 2 * m->intermediate);
    bench->ordered[MOE_ROLE_act_out] = halves(k * m->intermediate);
    bench->ordered[MOE_ROLE_gemm2_out] = halves(k * m->hidden);
}

static void bench_fini(bench_t *bench)
{
    kernel_fini(&bench->kernel);
    moe_judge_fini(&bench->judge);
    moe_ref_layer_fini(&bench->layer);
    free(bench->out.gemm1_out);
    free(bench->out.act_out);
    free(bench->out.gemm2_out);
    free(bench->out.output);
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        free(bench->ordered[r]);
    }
}

static void give(bench_t *bench, moe_role_t role, int64_t rows, int64_t cols,
                 uint16_t *codes)
{
    const moe_rows_t got = {.storage = {.format = MOE_FORMAT_bf16},
                            .rows = rows,
                            .cols = cols,
                            .codes = codes};

    ck_assert_int_eq(moe_judge_give(&bench->judge, role, &got), MOE_OK);
}

/* Rows by slot to rows by expert. */
static void give_pairs(bench_t *bench, moe_role_t role, int64_t cols,
                       const uint16_t *by_slot)
{
    const moe_ref_layer_t *layer = &bench->judge.layer;

    for (int64_t i = 0; i < layer->index.n; i++) {
        memcpy(bench->ordered[role] + i * cols,
               by_slot + layer->pairs.slot[i] * cols, (size_t)cols * 2);
    }
    give(bench, role, layer->index.n, cols, bench->ordered[role]);
}

/* Judge a run of the kernel, with all stages or the output alone. */
static bool passes(bench_t *bench, kernel_fault_t fault, bool stages)
{
    const moe_model_t *m = bench->layer.about.model;
    bool good;

    kernel_run(&bench->kernel, fault, &bench->out);
    if (stages) {
        ck_assert_int_eq(
            moe_ref_layer_make(&bench->judge.layer, MOE_ROLE_topk_ids), MOE_OK);
        give_pairs(bench, MOE_ROLE_gemm1_out, 2 * m->intermediate,
                   bench->out.gemm1_out);
        give_pairs(bench, MOE_ROLE_act_out, m->intermediate,
                   bench->out.act_out);
        give_pairs(bench, MOE_ROLE_gemm2_out, m->hidden, bench->out.gemm2_out);
    }
    give(bench, MOE_ROLE_output, 1, m->hidden, bench->out.output);
    ck_assert_int_eq(moe_judge_run(&bench->judge), MOE_OK);
    good = moe_judge_is_good(&bench->judge);
    if (getenv("MOESIM_JUDGE_SHOW") != NULL) {
        for (int r = 0; r < MOE_ROLE_COUNT; r++) {
            const moe_verdict_t *v = &bench->judge.verdict[r];

            if (v->judged) {
                printf("%s fault %d role %d: %s worst %.3g row %.3g "
                       "expert %.3g ulp %lld weak %.3g\n",
                       m->name, (int)fault, r, v->good ? "good" : "BAD",
                       v->worst.ratio, v->row_ratio, v->expert_ratio,
                       (long long)v->max_ulp, v->weakness);
            }
        }
        fflush(stdout);
    }
    return good;
}

/* Seeds, and orders of each. */
static int count(const char *name, int few, int many)
{
    const char *text = getenv(name);

    return text != NULL ? atoi(text) : moe_test_full() ? many : few;
}

START_TEST(a_correct_kernel_passes_in_any_order)
{
    const int seeds = count("SEEDS", 1, 10);
    const int orders = count("ORDERS", 3, 100);
    static bench_t bench;

    for (int s = 0; s < seeds; s++) {
        memset(&bench, 0, sizeof(bench));
        bench_init(&shapes[_i / 2], (uint64_t)s, &bench);
        for (int i = 0; i < orders; i++) {
            ck_assert_msg(passes(&bench, KERNEL_good, _i % 2 != 0),
                          "%s, seed %d, order %d", shapes[_i / 2].name, s, i);
        }
        bench_fini(&bench);
    }
}
END_TEST

START_TEST(every_fault_is_noticed)
{
    const int seeds = count("SEEDS", 1, 10);
    const int draws = count("DRAWS", 1, 10);
    static bench_t bench;

    for (int s = 0; s < seeds; s++) {
        memset(&bench, 0, sizeof(bench));
        bench_init(&shapes[_i / 2], (uint64_t)s, &bench);
        for (int f = KERNEL_good + 1; f < KERNEL_COUNT; f++) {
            for (int i = 0; i < draws; i++) {
                ck_assert_msg(!passes(&bench, (kernel_fault_t)f, _i % 2 != 0),
                              "%s, seed %d, fault %d, draw %d",
                              shapes[_i / 2].name, s, f, i);
            }
        }
        bench_fini(&bench);
    }
}
END_TEST

int main(void)
{
    const int shapes_to_do = 2 * (moe_test_full() ? (int)SHAPES : 1);
    Suite *suite = suite_create("judge_power");
    TCase *tests = tcase_create("judge_power");

    tcase_set_timeout(tests, moe_test_full() ? 3600.0 : 300.0);
    tcase_add_loop_test(tests, a_correct_kernel_passes_in_any_order, 0,
                        shapes_to_do);
    tcase_add_loop_test(tests, every_fault_is_noticed, 0, shapes_to_do);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
