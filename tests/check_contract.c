/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "moe/chain.h"
#include "tests/support.h"
#include "tests/tiny_layer.h"

#include <string.h>

START_TEST(every_order_has_a_name_a_text_and_a_source)
{
    for (int o = 0; o < MOE_ORDER_COUNT; o++) {
        moe_order_t order = (moe_order_t)o;
        moe_order_t found;

        ck_assert(moe_order_find(moe_order_name(order), &found));
        ck_assert_int_eq(found, order);
        ck_assert_uint_gt(strlen(moe_order_text(order)), 5);
        ck_assert_uint_gt(strlen(moe_order_source(order)), 5);
        ck_assert(moe_order_is_of_slots(order) || moe_order_is_of_ranks(order));
    }
}
END_TEST

START_TEST(faithful_keeps_the_sums_that_a_contract_weighs)
{
    moe_contract_t contract = moe_contract_default();

    for (int weighs = 0; weighs < 2; weighs++) {
        for (int faithful = 0; faithful < 2; faithful++) {
            moe_chain_t chain = {.numerics = (moe_numerics_t)faithful};

            chain.at[MOE_ROLE_gemm2_out].format = MOE_FORMAT_bf16;
            contract.points = weighs ? MOE_ROUND(weighted_sum) : 0;
            moe_chain_take(&chain, &contract);
            ck_assert(chain.at[MOE_ROLE_gemm2_out].format ==
                      (weighs && faithful ? MOE_FORMAT_fp32 : MOE_FORMAT_bf16));
            ck_assert(chain.contract.points == contract.points);
        }
    }
}
END_TEST

static tiny_t tiny;
static tiny_result_t stages;
static tiny_result_t oracle;

static bool oracle_agrees(void)
{
    memset(&oracle, 0, sizeof(oracle));
    ck_assert_int_eq(tiny_oracle(&tiny, &oracle), MOE_OK);
    return memcmp(stages.output, oracle.output, sizeof(stages.output)) == 0;
}

/* The stages round at every point: the oracle agrees with the declaration
 * that says so, and with none that leaves out a point. */
START_TEST(the_oracle_rounds_where_the_contract_says)
{
    static const moe_rounding_t points[] = {
        MOE_ROUNDING_dispatch, MOE_ROUNDING_gemm1_out, MOE_ROUNDING_gemm2_out};
    moe_chain_t whole;

    tiny_init(&tiny, MOE_FORMAT_fp8_1x128);
    whole = tiny.chain;
    ck_assert(tiny_run(&tiny, FAULT_none, &stages));
    ck_assert(oracle_agrees());
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        tiny.chain.contract.points &= ~(1u << points[i]);
        ck_assert(!moe_chain_rounds_alike(&tiny.chain, &whole));
        ck_assert_msg(!oracle_agrees(), "%s is no point",
                      moe_rounding_name(points[i]));
        tiny.chain.contract.points = whole.contract.points;
        ck_assert(moe_chain_rounds_alike(&tiny.chain, &whole));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract");
    TCase *tcase = tcase_create("contract");

    tcase_add_test(tcase, every_order_has_a_name_a_text_and_a_source);
    tcase_add_test(tcase, faithful_keeps_the_sums_that_a_contract_weighs);
    tcase_add_test(tcase, the_oracle_rounds_where_the_contract_says);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
