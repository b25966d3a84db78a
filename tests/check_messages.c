/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a row on the wire as systems publish them, and what their libraries
 * are built for. */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <string.h>

/* Bytes of a message as the systems' documents and sources give them for H =
 * 7168, k = 8: one a (token, expert), or one a (token, rank). */
typedef struct {
    const char *method;
    const char *key;
    const char *value;
    moe_stage_t stage;
    bool per_rank;
    int64_t bytes;
} message_t;

static const message_t messages[] = {
    {"deepep_normal", "dispatch", "fp8", MOE_STAGE_permute, true, 7492},
    {"deepep_normal", "dispatch", "bf16", MOE_STAGE_permute, true, 14436},
    {"deepep_ll", "dispatch", "fp8", MOE_STAGE_permute, false, 7408},
    {"deepep_ll", "dispatch", "fp8_1x128_ue8m0", MOE_STAGE_permute, false,
     7408},
    {"deepep_ll", "dispatch", "bf16", MOE_STAGE_permute, false, 14352},
    {"deepep_ll", "combine", "bf16", MOE_STAGE_unpermute, false, 14336},
    {"deepep_ll", "combine", "logfmt10", MOE_STAGE_unpermute, false, 9184},
    {"mc2", "dispatch", "bf16", MOE_STAGE_permute, false, 14380},
    {"mc2", "dispatch", "int8_token", MOE_STAGE_permute, false, 7212},
    {"mc2", "combine", "int8_1x8", MOE_STAGE_unpermute, false, 8960},
    {"fused_mc2", "dispatch", "int8_token", MOE_STAGE_permute, false, 7172},
    {"fused_mc2", "combine", "bf16", MOE_STAGE_unpermute, false, 14336},
    {"trtllm_alltoall", "dispatch", "bf16", MOE_STAGE_permute, true, 14400},
    {"trtllm_alltoall", "dispatch", "mxfp8", MOE_STAGE_permute, true, 7456},
    {"trtllm_alltoall", "dispatch", "nvfp4", MOE_STAGE_permute, true, 4096},
    {"trtllm_alltoall", "combine", "fp8_tensor", MOE_STAGE_unpermute, true,
     7168},
};

/* Pairs of a token and one of its experts, or of the 8 ranks of 32 experts
 * that hold one. */
static int64_t count_messages(const moe_routing_t *routing, bool per_rank)
{
    int64_t n = 0;

    for (int64_t t = 0; t < routing->n; t++) {
        bool seen[8] = {false};

        for (int s = 0; s < routing->topk; s++) {
            const int rank = routing->ids[t * routing->topk + s] / 32;

            n += !per_rank || !seen[rank];
            seen[rank] = true;
        }
    }
    return n;
}

START_TEST(messages_have_the_bytes_that_their_systems_give_them)
{
    const message_t *m = &messages[_i];
    moe_model_t deepseek = moe_test_deepseek();
    int64_t payload = 0;
    moe_test_layer_t t;
    moe_method_use_t use;
    moe_summary_t summary;
    moe_trace_sink_t sink;

    ck_assert_ptr_nonnull(moe_method_find(m->method));
    moe_test_layer_init(&t, &deepseek, 8, MOE_TOKENS_ragged, 128);
    use = moe_test_use(moe_method_find(m->method), &t.layer, m->key, m->value);
    ck_assert_int_eq(moe_summary_init(8, false, &summary), MOE_OK);
    sink = moe_summary_sink(&summary);
    ck_assert_int_eq(
        moe_meta_run(&t.layer, &use, &t.routing, NULL, ~0U, &sink, NULL),
        MOE_OK);
    for (int r = 0; r < 8; r++) {
        payload += summary.rank[r].stage[m->stage].payload;
    }
    ck_assert_int_eq(payload,
                     m->bytes * count_messages(&t.routing, m->per_rank));
    moe_summary_fini(&summary);
    moe_test_layer_fini(&t);
}
END_TEST

/* Without `limits: off` a method refuses what its library is not built for,
 * and takes the model that it is. */
START_TEST(limits_of_a_library_hold_where_they_are_not_lifted)
{
    const moe_method_t *method = moe_method_find("deepep_ll");
    moe_model_t models[] = {moe_test_deepseek(), moe_test_small()};
    moe_method_use_t use;
    moe_test_layer_t t;

    ck_assert_ptr_nonnull(method);
    for (int i = 0; i < 2; i++) {
        moe_test_layer_init(&t, &models[i], 8, MOE_TOKENS_equal, 128);
        use = moe_test_use(method, &t.layer, "limits", "library");
        ck_assert(moe_test_runs(&t.layer, &use) == (i == 0));
        use = moe_test_use(method, &t.layer, "limits", "off");
        ck_assert(moe_test_runs(&t.layer, &use));
        moe_test_layer_fini(&t);
    }
    moe_test_layer_init(&t, &models[0], 8, MOE_TOKENS_equal, 129);
    use = moe_test_use(method, &t.layer, "limits", "library");
    ck_assert(!moe_test_runs(&t.layer, &use));
    ck_assert(moe_option_set(method, "max_tokens", "129", use.options, NULL));
    ck_assert(moe_test_runs(&t.layer, &use));
    moe_test_layer_fini(&t);
}
END_TEST

static const struct {
    int ranks;
    int64_t each;
    const char *soc;
    const char *refused;
    const char *limits;
    int64_t hidden;
    int topk;
} operators[] = {
    {16, 16, "a3", NULL, "library", 7168, 8},
    {16, 16, "a2", NULL, "library", 7168, 8},
    {8, 16, "a3", NULL, "library", 7168, 8},
    {8, 16, "a2", "ranks 16, 32, 64", "library", 7168, 8},
    {16, 513, "a3", "tokens a rank 0 to 512", "library", 7168, 8},
    {16, 257, "a2", "tokens a rank 0 to 256", "library", 7168, 8},
    {16, 256, "a3", "buffer_mb", "library", 7168, 8},
    /* wider in the operators of 2025-12 than in torch_npu 7.0.0 */
    {16, 16, "a3", NULL, "library", 1024, 16},
    {16, 16, "a3", "hidden 1024 to 8192", "library", 1008, 8},
    {16, 16, "a3", "experts a token 1 to 16", "library", 7168, 17},
    {16, 16, "a3", NULL, "torch_npu_7", 7168, 8},
    {16, 16, "a3", "hidden 7168 to 7168", "torch_npu_7", 4096, 8},
    {16, 16, "a2", "experts a token 1 to 8", "torch_npu_7", 7168, 9},
    {16, 16, "a2", NULL, "torch_npu_7", 4096, 8},
    {16, 16, "a2", "blocks of 32", "library", 1008, 8},
    {16, 16, "a2", "hidden 32 to 7168", "library", 8192, 8}};

/* Published limits of the operators: what they take, and what they do not. */
START_TEST(limits_of_mc2_are_those_of_the_machine)
{
    const moe_method_t *method = moe_method_find("mc2");
    moe_model_t deepseek = moe_test_deepseek();

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        moe_test_layer_t t;
        moe_method_use_t use;
        const char *why;

        deepseek.hidden = operators[i].hidden;
        deepseek.topk = operators[i].topk;
        moe_test_layer_init(&t, &deepseek, operators[i].ranks, MOE_TOKENS_equal,
                            operators[i].each);
        use = moe_test_use(method, &t.layer, "soc", operators[i].soc);
        ck_assert_ptr_null(method->check(&t.layer, use.options));
        ck_assert(moe_option_set(method, "limits", operators[i].limits,
                                 use.options, NULL));
        why = method->check(&t.layer, use.options);
        ck_assert_msg((why == NULL) == (operators[i].refused == NULL) &&
                          (why == NULL || strstr(why, operators[i].refused)),
                      "%d: %s", (int)i, why == NULL ? "runs" : why);
        moe_test_layer_fini(&t);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("messages");
    TCase *tcase = tcase_create("messages");

    tcase_add_loop_test(tcase,
                        messages_have_the_bytes_that_their_systems_give_them, 0,
                        (int)(sizeof(messages) / sizeof(messages[0])));
    tcase_add_test(tcase, limits_of_a_library_hold_where_they_are_not_lifted);
    tcase_add_test(tcase, limits_of_mc2_are_those_of_the_machine);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
