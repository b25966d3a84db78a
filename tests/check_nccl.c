/* SPDX-License-Identifier: Apache-2.0 */
/* Prices of ring collectives against public measurements of NCCL on 8 GPUs
 * (nccl-tests rows of ai-dynamo/aiconfigurator, Apache-2.0; not part of this
 * repository). Two constants of a line cannot follow every change of
 * protocol, so the test asks for most rows, and for all within a wide bound. */
#include "tests/support.h"

#include "models/price.h"
#include "sim/scenario/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANKS = 8,
    SIZE_MIN = 1 << 20,
    SIZE_MAX_BYTES = 1 << 29,
    FIELDS = 18
};

static const struct {
    const char *machine;     /* of ours */
    const char *measured_on; /* as the file names it */
} machines[] = {
    {"dgx-h100", "h100_sxm"},
    {"dgx-b200", "b200_sxm"},
};

/* How predictions lie to measurements. */
typedef struct {
    int n;
    int near;    /* within a factor of 1.6 */
    int covered; /* measured value within the interval */
    double worst;
} score_t;

static moe_scenario_t *scenario_on(const char *machine)
{
    const moe_change_t changes[] = {
        {"model", "deepseek-r1"}, {"machine", machine},
        {"layout.dp", "8"},       {"layout.ep", "8"},
        {"workload.tokens", "1"}, {"methods", "[allgatherv]"}};
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_status_t status;

    ck_assert_ptr_nonnull(diag);
    status =
        moe_scenario_load(NULL, changes, sizeof(changes) / sizeof(changes[0]),
                          0, diag, &scenario);
    moe_diag_print(diag, stderr);
    ck_assert_int_eq(status, MOE_OK);
    moe_diag_free(diag);
    return scenario;
}

/* size as nccl-tests counts it: the whole buffer. */
static moe_time_t price(const moe_machine_t *machine, moe_op_t op, int64_t size)
{
    static const int ranks[RANKS] = {0, 1, 2, 3, 4, 5, 6, 7};
    bool whole = op == MOE_OP_allreduce;
    int64_t rows[RANKS];
    moe_price_result_t result;
    moe_price_t *p = NULL;
    moe_time_t time;

    ck_assert_int_eq(moe_price_create(machine, RANKS, &p), MOE_OK);
    for (int i = 0; i < RANKS; i++) {
        rows[i] = whole ? size : size / RANKS;
    }
    for (int r = 0; r < RANKS; r++) {
        moe_trace_record_t record = {.id = 1,
                                     .rank = r,
                                     .op = op,
                                     .group = MOE_GROUP_world,
                                     .call = 1,
                                     .transfer = {.n = RANKS,
                                                  .me = r,
                                                  .ranks = ranks,
                                                  .send_rows = rows,
                                                  .recv_rows = rows,
                                                  .row_bytes = 1,
                                                  .element_bytes = 1,
                                                  .root = -1}};

        ck_assert_int_eq(moe_price_record(p, &record), MOE_OK);
    }
    ck_assert_int_eq(moe_price_finish(p, &result), MOE_OK);
    time = result.total;
    moe_price_result_fini(&result);
    moe_price_free(p);
    return time;
}

static bool find_op(const char *name, moe_op_t *op_p)
{
    static const moe_op_t ops[] = {MOE_OP_allgather, MOE_OP_reducescatter,
                                   MOE_OP_allreduce};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(name, moe_op_name(ops[i])) == 0) {
            *op_p = ops[i];
            return true;
        }
    }
    return false;
}

static void judge(const moe_machine_t *machine, const char *measured_on,
                  char *line, score_t *score)
{
    char *field[FIELDS] = {NULL};
    moe_op_t op;
    int64_t size;
    double measured;
    double ratio;
    moe_time_t time;

    for (int i = 0; i < FIELDS; i++) {
        field[i] = strsep(&line, ",\n");
    }
    if (field[17] == NULL || strcmp(field[1], measured_on) != 0 ||
        atoi(field[5]) != RANKS || !find_op(field[3], &op)) {
        return;
    }
    size = atoll(field[16]);
    if (size < SIZE_MIN || size > SIZE_MAX_BYTES) {
        return;
    }
    measured = atof(field[17]);
    time = price(machine, op, size);
    ratio = time.us > measured ? time.us / measured : measured / time.us;
    score->n++;
    score->near += ratio <= 1.6;
    score->covered += time.low_us <= measured && measured <= time.high_us;
    score->worst = ratio > score->worst ? ratio : score->worst;
}

START_TEST(ring_collectives_are_near_public_measurements)
{
    const char *path = moe_test_data("../measurements/nccl.csv");
    moe_scenario_t *scenario = scenario_on(machines[_i].machine);
    FILE *file = fopen(path, "r");
    score_t score = {0};
    char line[1024];

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        judge(&scenario->machine, machines[_i].measured_on, line, &score);
    }
    ck_assert_int_eq(fclose(file), 0);
    printf("%s: %d rows, %d within 1.6, %d in the interval, worst %.2f\n",
           machines[_i].machine, score.n, score.near, score.covered,
           score.worst);
    ck_assert_int_ge(score.n, 30);
    ck_assert_int_ge(10 * score.near, 9 * score.n);
    ck_assert_int_ge(10 * score.covered, 9 * score.n);
    ck_assert_double_le(score.worst, 2.5);
    moe_scenario_free(scenario);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nccl");
    TCase *tcase = tcase_create("nccl");

    tcase_add_loop_test(tcase, ring_collectives_are_near_public_measurements, 0,
                        (int)(sizeof(machines) / sizeof(machines[0])));
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
