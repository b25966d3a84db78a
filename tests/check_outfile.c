/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/outfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void set_up(void)
{
    (void)strcpy(folder, "/tmp/check_outfile.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    moe_error_clear();
}

static void tear_down(void)
{
    moe_remove_tree(folder);
    ck_assert_int_ne(access(folder, F_OK), 0);
}

/* Path of a name in the folder; valid until the fourth next call. */
static const char *in(const char *name)
{
    static char path[4][200];
    static int next;

    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
    return path[next];
}

/* Number of files in the folder. */
static int count_files(void)
{
    DIR *d = opendir(folder);
    int n = 0;

    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL) {
        n++;
    }
    ck_assert_int_eq(closedir(d), 0);
    return n - 2; /* . and .. */
}

static void check_contents(const char *path, const char *expected)
{
    char text[64] = "";
    FILE *f = fopen(path, "r");
    size_t n;

    ck_assert_ptr_nonnull(f);
    n = fread(text, 1, sizeof(text) - 1, f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_uint_eq(n, strlen(expected));
    ck_assert_str_eq(text, expected);
}

static moe_status_t write_text(const char *path, const char *text)
{
    moe_outfile_t *file = NULL;
    FILE *stream = NULL;
    moe_status_t status = moe_outfile_open(path, &file, &stream);

    if (status != MOE_OK) {
        return status;
    }
    (void)fputs(text, stream);
    return moe_outfile_commit(file);
}

START_TEST(a_file_appears_whole_at_commit_and_not_before)
{
    moe_outfile_t *file = NULL;
    FILE *stream = NULL;

    ck_assert_int_eq(moe_outfile_open(in("x"), &file, &stream), MOE_OK);
    ck_assert_int_ge(fputs("half", stream), 0);
    ck_assert_int_eq(fflush(stream), 0);
    ck_assert_int_ne(access(in("x"), F_OK), 0);
    ck_assert_int_eq(count_files(), 1);
    ck_assert_int_ge(fputs(" whole", stream), 0);
    ck_assert_int_eq(moe_outfile_commit(file), MOE_OK);
    check_contents(in("x"), "half whole");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(an_aborted_file_leaves_what_was_there)
{
    moe_outfile_t *file = NULL;
    FILE *stream = NULL;

    ck_assert_int_eq(write_text(in("x"), "old"), MOE_OK);
    ck_assert_int_eq(moe_outfile_open(in("x"), &file, &stream), MOE_OK);
    ck_assert_int_ge(fputs("new", stream), 0);
    moe_outfile_abort(file);
    moe_outfile_abort(NULL);
    check_contents(in("x"), "old");
    ck_assert_int_eq(count_files(), 1);
    ck_assert_int_eq(write_text(in("x"), "newer"), MOE_OK);
    check_contents(in("x"), "newer");
}
END_TEST

/* Files may not grow beyond a bound: a write fails as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_failed_write_is_an_error_with_path_and_reason)
{
    moe_outfile_t *file = NULL;
    FILE *stream = NULL;
    char text[1000];

    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(write_text(in("x"), "old"), MOE_OK);
    ck_assert_int_eq(moe_outfile_open(in("x"), &file, &stream), MOE_OK);
    limit_files(_i == 0 ? 500 : 100000);
    for (int n = 0; n < (_i == 0 ? 1 : 1000); n++) {
        (void)fwrite(text, 1, sizeof(text), stream);
    }
    ck_assert_int_eq(moe_outfile_commit(file), MOE_ERR_IO);
    limit_files(RLIM_INFINITY);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), in("x")));
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "File too large"));
    check_contents(in("x"), "old");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_device_is_written_in_place_and_its_errors_are_seen)
{
    struct stat st;

    ck_assert_int_eq(write_text("/dev/null", "gone"), MOE_OK);
    ck_assert_int_eq(stat("/dev/null", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
    ck_assert_int_eq(write_text("/dev/full", "text"), MOE_ERR_IO);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "No space left on device"));
    ck_assert_int_eq(stat("/dev/full", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
}
END_TEST

START_TEST(a_link_stays_and_its_target_is_replaced)
{
    struct stat st;

    ck_assert_int_eq(write_text(in("target"), "old"), MOE_OK);
    ck_assert_int_eq(symlink("target", in("link")), 0);
    ck_assert_int_eq(write_text(in("link"), "new"), MOE_OK);
    ck_assert_int_eq(lstat(in("link"), &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    check_contents(in("target"), "new");
    ck_assert_int_eq(count_files(), 2);
}
END_TEST

START_TEST(a_place_that_cannot_be_written_is_an_error)
{
    char name[400];

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(write_text(in("no/such/x"), "a"), MOE_ERR_IO);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "No such file"));
    ck_assert_int_eq(write_text(folder, "a"), MOE_ERR_IO);
    ck_assert_int_eq(write_text(name, "a"), MOE_ERR_IO);
    ck_assert_int_eq(mkfifo(in("pipe"), 0600), 0);
    ck_assert_int_eq(write_text(in("pipe"), "a"), MOE_ERR_IO);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(abort_all_removes_every_temporary_and_no_finished_file)
{
    moe_outfile_t *file[20];
    FILE *stream;

    ck_assert_int_eq(write_text(in("done"), "a"), MOE_OK);
    for (int i = 0; i < 20; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "x%d", i);
        ck_assert_int_eq(moe_outfile_open(in(name), &file[i], &stream), MOE_OK);
    }
    moe_outfile_abort(file[7]);
    ck_assert_int_eq(moe_outfile_commit(file[8]), MOE_OK);
    moe_outfile_abort_all();
    moe_outfile_abort_all();
    ck_assert_int_eq(count_files(), 2);
    for (int i = 0; i < 20; i++) {
        if (i != 7 && i != 8) {
            ck_assert_int_eq(moe_outfile_commit(file[i]), MOE_ERR_IO);
        }
    }
    ck_assert_int_eq(count_files(), 2);
}
END_TEST

START_TEST(too_many_files_at_once_are_refused_and_places_come_back)
{
    moe_outfile_t *file[200];
    FILE *stream;

    for (int round = 0; round < 3; round++) {
        int n = 0;

        while (n < 200 &&
               moe_outfile_open(in("same"), &file[n], &stream) == MOE_OK) {
            n++;
        }
        ck_assert_int_eq(n, 64);
        ck_assert_int_eq(count_files(), n);
        while (n > 0) {
            moe_outfile_abort(file[--n]);
        }
        ck_assert_int_eq(count_files(), 0);
    }
}
END_TEST

START_TEST(folders_are_made_with_those_above)
{
    struct stat st;

    ck_assert_int_eq(moe_make_folder(in("a/b//c/")), MOE_OK);
    ck_assert_int_eq(moe_make_folder(in("a/b/c")), MOE_OK);
    ck_assert_int_eq(stat(in("a/b/c"), &st), 0);
    ck_assert(S_ISDIR(st.st_mode));
    ck_assert_int_eq(moe_make_folder("/"), MOE_OK);
    ck_assert_int_eq(moe_make_folder("."), MOE_OK);
    ck_assert_int_eq(moe_make_folder(""), MOE_ERR_IO);
    ck_assert_int_eq(write_text(in("file"), "a"), MOE_OK);
    ck_assert_int_eq(moe_make_folder(in("file")), MOE_ERR_IO);
    ck_assert_int_eq(moe_make_folder(in("file/x")), MOE_ERR_IO);
}
END_TEST

START_TEST(removing_a_tree_follows_no_link)
{
    ck_assert_int_eq(moe_make_folder(in("kept")), MOE_OK);
    ck_assert_int_eq(write_text(in("kept/x"), "a"), MOE_OK);
    ck_assert_int_eq(moe_make_folder(in("tree/deep/deeper")), MOE_OK);
    ck_assert_int_eq(write_text(in("tree/deep/y"), "a"), MOE_OK);
    ck_assert_int_eq(symlink("../kept", in("tree/link")), 0);
    ck_assert_int_eq(symlink("nowhere", in("tree/deep/dangling")), 0);
    ck_assert_int_eq(mkfifo(in("tree/pipe"), 0600), 0);
    moe_remove_tree(in("tree"));
    ck_assert_int_eq(count_files(), 1);
    check_contents(in("kept/x"), "a");
    ck_assert_int_eq(symlink("kept", in("link")), 0);
    moe_remove_tree(in("link"));
    check_contents(in("kept/x"), "a");
    ck_assert_int_eq(count_files(), 1);
    moe_remove_tree(in("nothing"));
    moe_remove_tree(in("kept/x"));
    ck_assert_int_ne(access(in("kept/x"), F_OK), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("outfile");
    TCase *t = tcase_create("outfile");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_file_appears_whole_at_commit_and_not_before);
    tcase_add_test(t, an_aborted_file_leaves_what_was_there);
    tcase_add_loop_test(t, a_failed_write_is_an_error_with_path_and_reason, 0,
                        2);
    tcase_add_test(t, a_device_is_written_in_place_and_its_errors_are_seen);
    tcase_add_test(t, a_link_stays_and_its_target_is_replaced);
    tcase_add_test(t, a_place_that_cannot_be_written_is_an_error);
    tcase_add_test(t, abort_all_removes_every_temporary_and_no_finished_file);
    tcase_add_test(t, too_many_files_at_once_are_refused_and_places_come_back);
    tcase_add_test(t, folders_are_made_with_those_above);
    tcase_add_test(t, removing_a_tree_follows_no_link);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
