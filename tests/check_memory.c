/* SPDX-License-Identifier: Apache-2.0 */
/* Free memory of systems that are folders with what their kernels say. */
#include "config.h"

#include "base/outfile.h"
#include "sim/launch/memory.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char root[64];

static void set_up(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/check-memory-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void tear_down(void)
{
    moe_remove_tree(root);
}

/* A file of the kernel. */
static void say(const char *folder, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s%s", root, folder);
    ck_assert_int_eq(moe_make_folder(path), MOE_OK);
    (void)snprintf(path, sizeof(path), "%s%s/%s", root, folder, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void say_machine(const char *groups)
{
    say("/proc", "meminfo",
        "MemTotal:  8000 kB\nMemFree:  10 kB\nMemAvailable:  4000 kB\n");
    say("/proc/self", "cgroup", groups);
}

static void say_group_2(const char *folder, const char *limit,
                        const char *current, const char *cache)
{
    char path[128];
    char stat[128];

    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s", folder);
    say(path, "memory.max", limit);
    say(path, "memory.current", current);
    (void)snprintf(stat, sizeof(stat), "anon 5\nfile 77\ninactive_file %s\n",
                   cache);
    say(path, "memory.stat", stat);
}

START_TEST(without_groups_it_is_what_the_machine_has)
{
    ck_assert_int_eq(moe_memory_free_under(root), -1);
    say_machine("0::/user/shell\n");
    ck_assert_int_eq(moe_memory_free_under(root), 4000 * 1024);
    say_group_2("/user/shell", "max\n", "3000000\n", "0");
    ck_assert_int_eq(moe_memory_free_under(root), 4000 * 1024);
    ck_assert_int_gt(moe_memory_free(), 0);
}
END_TEST

START_TEST(files_that_the_kernel_only_remembers_are_free)
{
    say_machine("0::/\n");
    say_group_2("", "1000000\n", "900000\n", "0");
    ck_assert_int_eq(moe_memory_free_under(root), 100000);
    say_group_2("", "1000000\n", "900000\n", "600000");
    ck_assert_int_eq(moe_memory_free_under(root), 700000);
    say_group_2("", "1000000\n", "1100000\n", "600");
    ck_assert_int_eq(moe_memory_free_under(root), 0);
}
END_TEST

START_TEST(the_least_of_all_groups_above_counts)
{
    say_machine("1:cpu:/x\n0::/a/b/c\n");
    say_group_2("/a/b/c", "3000000\n", "100000\n", "0");
    ck_assert_int_eq(moe_memory_free_under(root), 2900000);
    say_group_2("/a", "2000000\n", "300000\n", "0");
    ck_assert_int_eq(moe_memory_free_under(root), 1700000);
    say_group_2("/x", "10\n", "0\n", "0"); /* of another controller */
    ck_assert_int_eq(moe_memory_free_under(root), 1700000);
    say_group_2("", "1000000\n", "300000\n", "0");
    ck_assert_int_eq(moe_memory_free_under(root), 700000);
}
END_TEST

START_TEST(version_1_has_limits_too)
{
    static const char in_c[] = "/sys/fs/cgroup/memory/c";

    say_machine("9:name=systemd:/\n4:cpu,memory:/c/gone\n0::/\n");
    say(in_c, "memory.limit_in_bytes", "1000000\n");
    say(in_c, "memory.usage_in_bytes", "800000\n");
    say(in_c, "memory.stat", "inactive_file 1\ntotal_inactive_file 500000\n");
    ck_assert_int_eq(moe_memory_free_under(root), 700000);
    say(in_c, "memory.limit_in_bytes", "9223372036854771712\n");
    ck_assert_int_eq(moe_memory_free_under(root), 4000 * 1024);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tc = tcase_create("free");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, without_groups_it_is_what_the_machine_has);
    tcase_add_test(tc, files_that_the_kernel_only_remembers_are_free);
    tcase_add_test(tc, the_least_of_all_groups_above_counts);
    tcase_add_test(tc, version_1_has_limits_too);
    suite_add_tcase(suite, tc);
    return moe_suite_main(suite);
}
