/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "tests/scenarios.h"

#include "base/outfile.h"
#include "base/text.h"
#include "base/yaml.h"
#include "sim/data/data.h"

#include <stdlib.h>
#include <string.h>

/* A scenario of one model and one machine. */
static moe_scenario_t *load(const char *model, const char *machine)
{
    const moe_change_t changes[] = {{"model", model},
                                    {"machine", machine},
                                    {"layout.ep", "8"},
                                    {"workload.tokens", "4"},
                                    {"methods", "all"}};

    return moe_load_good(NULL, changes, 5, 0);
}

START_TEST(every_model_file_loads_under_its_name)
{
    moe_names_t names;

    ck_assert_int_eq(moe_data_list(NULL, "models/moe", &names), MOE_OK);
    ck_assert_uint_ge(names.n, 24);
    for (size_t i = 0; i < names.n; i++) {
        moe_scenario_t *s = load(names.name[i], "none");

        ck_assert_str_eq(s->model.name, names.name[i]);
        ck_assert_msg(s->model.source[0] != '\0', "%s has no source",
                      names.name[i]);
        moe_scenario_free(s);
    }
    moe_names_fini(&names);
}
END_TEST

static void check_constant(const char *machine, const moe_constant_t *c)
{
    ck_assert_msg(c->value > 0.0 && c->error > 0.0, "%s: a constant is %g",
                  machine, c->value);
    ck_assert_msg(c->source[0] != '\0', "%s: no source", machine);
}

static void check_machine(const moe_machine_t *m)
{
    check_constant(m->name, &m->hbm_bytes_per_s);
    check_constant(m->name, &m->memory_efficiency);
    check_constant(m->name, &m->matmul_efficiency);
    check_constant(m->name, &m->launch_s);
    check_constant(m->name, &m->collective_s);
    check_constant(m->name, &m->flops[MOE_FORMAT_bf16]);
    ck_assert_int_gt(m->n_tiers, 0);
    for (int i = 0; i < m->n_tiers; i++) {
        check_constant(m->name, &m->tier[i].bw_bytes_per_s);
        check_constant(m->name, &m->tier[i].latency_s);
    }
}

START_TEST(every_machine_file_loads_with_all_constants)
{
    moe_names_t names;

    ck_assert_int_eq(moe_data_list(NULL, "models/machines", &names), MOE_OK);
    ck_assert_uint_ge(names.n, 13);
    for (size_t i = 0; i < names.n; i++) {
        moe_scenario_t *s = load("mixtral-8x7b", names.name[i]);

        ck_assert(s->has_machine);
        ck_assert_str_eq(s->machine.name, names.name[i]);
        check_machine(&s->machine);
        moe_scenario_free(s);
    }
    moe_names_fini(&names);
}
END_TEST

/* Each alias of a file finds that file. */
static void check_aliases(const char *folder, const char *name)
{
    moe_diag_t *diag = moe_diag_create();
    moe_yaml_doc_t *doc;
    const moe_yaml_node_t *list;
    char *path;
    char *found;

    ck_assert_int_eq(moe_data_find(NULL, folder, name, &path), MOE_OK);
    ck_assert_int_eq(moe_yaml_read(path, diag, &doc), MOE_OK);
    list = moe_yaml_get(moe_yaml_root(doc), "aliases");
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        ck_assert_int_eq(
            moe_data_find(NULL, folder, list->item[i]->text, &found), MOE_OK);
        ck_assert_str_eq(found, path);
        free(found);
    }
    moe_yaml_free(doc);
    moe_diag_free(diag);
    free(path);
}

START_TEST(every_alias_means_one_file)
{
    static const char *const folders[] = {"models/moe", "models/machines"};
    moe_names_t names;

    for (int f = 0; f < 2; f++) {
        ck_assert_int_eq(moe_data_list(NULL, folders[f], &names), MOE_OK);
        for (size_t i = 0; i < names.n; i++) {
            check_aliases(folders[f], names.name[i]);
        }
        moe_names_fini(&names);
    }
}
END_TEST

/* Puts an empty file models/moe/NAME.yaml into a folder. */
static void put_model(const char *top, const char *name, const char *text)
{
    char *folder = moe_strdup_printf("%s/models/moe", top);
    char *path = moe_strdup_printf("%s/%s.yaml", folder, name);
    FILE *stream;

    ck_assert_int_eq(moe_make_folder(folder), MOE_OK);
    stream = fopen(path, "w");
    ck_assert_ptr_nonnull(stream);
    (void)fputs(text, stream);
    ck_assert_int_eq(fclose(stream), 0);
    free(folder);
    free(path);
}

static void check_found_in(const char *beside, const char *name,
                           const char *place)
{
    char *path = NULL;

    ck_assert_int_eq(moe_data_find(beside, "models/moe", name, &path), MOE_OK);
    ck_assert_msg(strncmp(path, place, strlen(place)) == 0, "%s: %s, not in %s",
                  name, path, place);
    free(path);
}

START_TEST(places_are_searched_in_order_names_before_aliases)
{
    char beside[] = "/tmp/moesim-test-XXXXXX";
    char second[] = "/tmp/moesim-test-XXXXXX";
    char *path = NULL;
    char *list;

    ck_assert(mkdtemp(beside) != NULL && mkdtemp(second) != NULL);
    list = moe_strdup_printf("/nonexistent:%s", second);
    put_model(beside, "one", "aliases: [two, deepseek-r1]\n");
    put_model(second, "one", "x: 1\n");
    put_model(second, "two", "x: 1\n");
    ck_assert_int_eq(setenv("MOESIM_PATH", list, 1), 0);
    check_found_in(beside, "one", beside);
    check_found_in(NULL, "one", second);
    check_found_in(beside, "two", second);
    check_found_in(beside, "deepseek-r1", MOESIM_SOURCE_DIR);
    check_found_in(beside, "deepseek-v3", MOESIM_SOURCE_DIR);
    ck_assert_int_eq(moe_data_find(beside, "models/moe", "nothing", &path),
                     MOE_ERR_INPUT);
    ck_assert_int_eq(moe_data_find(beside, "models/moe", "../moe/one", &path),
                     MOE_ERR_INPUT);
    ck_assert_ptr_null(path);
    ck_assert_int_eq(unsetenv("MOESIM_PATH"), 0);
    moe_remove_tree(beside);
    moe_remove_tree(second);
    free(list);
}
END_TEST

/* {"x":{"dtype":"BF16","shape":[SHAPE],"data_offsets":[0,B]}} and B bytes, as
 * many as rows of 128 have: zeros, but for one element. */
static char *make_tensor(const char *shape, int rows, int at, uint16_t element)
{
    char data[4096] = {0};
    int n = snprintf(data + 8, sizeof(data) - 8,
                     "{\"x\":{\"dtype\":\"BF16\",\"shape\":[%s],"
                     "\"data_offsets\":[0,%d]}}",
                     shape, rows * 256);

    data[0] = (char)n;
    ck_assert_int_lt(n, 127);
    ck_assert_int_lt(8 + n + rows * 256, (int)sizeof(data));
    memcpy(data + 8 + n + 2 * at, &element, sizeof(element));
    return moe_make_file("x.safetensors", data, (size_t)(8 + n + rows * 256));
}

static char *make_hidden(int rows)
{
    char shape[32];

    (void)snprintf(shape, sizeof(shape), "%d,128", rows);
    return make_tensor(shape, rows, 0, 0);
}

static char *load_hidden(const char *file, const char *precision)
{
    char value[512];
    const moe_change_t changes[] = {
        {"workload.data", value}, {"sweep", "{}"}, {"precision", precision}};

    (void)snprintf(value, sizeof(value), "{hidden: %s}", file);
    return moe_load_bad(moe_test_source("tests/fixtures/scenario/good.yaml"),
                        changes, 3, 0);
}

START_TEST(data_from_a_file_must_fit_and_need_global_scales)
{
    char *ten = make_hidden(10);
    char *nine = make_hidden(9);
    char *found = load_hidden(
        ten, "{expert_in: {format: nvfp4, global_scale: 3}, gemm2_in: {format: "
             "nvfp4, global_scale: 4}}");

    ck_assert_str_eq(found, "");
    free(found);
    found = load_hidden(ten, "{expert_in: {format: nvfp4, global_scale: 3}}");
    ck_assert_ptr_nonnull(strstr(found, "precision.gemm2_in: has no global "));
    free(found);
    found = load_hidden(
        nine, "{expert_in: {format: nvfp4, global_scale: 3}, gemm2_in: "
              "{format: nvfp4, global_scale: 4}}");
    ck_assert_str_eq(found, "workload.data.hidden: tensor 'x' is bf16 of "
                            "9 x 128, expected bf16 of 10 x 128\n");
    free(found);
    moe_drop_file(ten);
    moe_drop_file(nine);
}
END_TEST

static void check_found(char *file, const char *precision, const char *expected)
{
    char *found = load_hidden(file, precision);

    ck_assert_str_eq(found, expected);
    free(found);
    moe_drop_file(file);
}

START_TEST(values_of_a_file_are_looked_at_beside_what_else_is_wrong)
{
    const char *scales = "{expert_in: {format: nvfp4, global_scale: 3}, "
                         "gemm2_in: {format: nvfp4, global_scale: 4}}";

    check_found(make_tensor("10,128", 10, 3 * 128 + 7, 0x7fc0), scales,
                "workload.data.hidden: tensor 'x': row 3, column 7 is NaN, "
                "expected a finite number\n");
    check_found(make_tensor("10,128", 10, 1279, 0xff80),
                "{expert_in: {format: nvfp4, global_scale: 3}, gemm2_in: "
                "{format: nvfp4, global_scale: 4}, weights: int3}",
                "precision.weights: 'int3' is unknown, expected a format, see "
                "'moesim list formats'\n"
                "workload.data.hidden: tensor 'x': row 9, column 127 is "
                "infinite, expected a finite number\n");
    check_found(make_tensor("10,128", 10, 1279, 0x7f7f), scales, "");
    check_found(make_tensor("1280", 10, 0, 0), scales,
                "workload.data.hidden: tensor 'x' is bf16 of 1280, one "
                "dimension, expected bf16 of 10 x 128\n");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("data");
    TCase *t = tcase_create("data");

    tcase_add_test(t, every_model_file_loads_under_its_name);
    tcase_add_test(t, every_machine_file_loads_with_all_constants);
    tcase_add_test(t, every_alias_means_one_file);
    tcase_add_test(t, places_are_searched_in_order_names_before_aliases);
    tcase_add_test(t, data_from_a_file_must_fit_and_need_global_scales);
    tcase_add_test(t, values_of_a_file_are_looked_at_beside_what_else_is_wrong);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
