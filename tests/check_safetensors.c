/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/safetensors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static moe_safetensors_t *file;

static void set_up(void)
{
    int fd;

    (void)strcpy(path, "/tmp/check_safetensors.XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    file = NULL;
    moe_error_clear();
}

static void tear_down(void)
{
    moe_safetensors_close(file);
    ck_assert_int_eq(unlink(path), 0);
}

/* Write a file: length as given, header, data bytes 0, 1, 2, ... */
static void write_parts(uint64_t length, const char *header, size_t size,
                        int64_t data_bytes)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_ne(fputc((int)(length >> 8 * i & 0xFF), f), EOF);
    }
    ck_assert_uint_eq(fwrite(header, 1, size, f), size);
    for (int64_t i = 0; i < data_bytes; i++) {
        ck_assert_int_ne(fputc((int)(i & 0xFF), f), EOF);
    }
    ck_assert_int_eq(fclose(f), 0);
}

static void write_tensors(const char *header, int64_t data_bytes)
{
    write_parts(strlen(header), header, strlen(header), data_bytes);
}

static moe_status_t reopen(void)
{
    moe_safetensors_close(file);
    file = NULL;
    return moe_safetensors_open(path, &file);
}

START_TEST(tensors_come_in_order_of_their_data)
{
    const moe_safetensor_t *t;
    unsigned char data[8];

    write_tensors("{\"__metadata__\":{\"format\":\"pt\"},"
                  "\"a\":{\"shape\":[],\"dtype\":\"F32\","
                  "\"data_offsets\":[0,4]},"
                  "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],"
                  "\"data_offsets\":[4,16]},"
                  "\"z\":{\"dtype\":\"I64\",\"shape\":[0,7],"
                  "\"data_offsets\":[16,16],\"note\":1},"
                  "\"f\":{\"dtype\":\"F4\",\"shape\":[2,2],"
                  "\"data_offsets\":[16,18]}}  ",
                  18);
    ck_assert_int_eq(reopen(), MOE_OK);
    ck_assert_uint_eq(moe_safetensors_count(file), 4);
    ck_assert_str_eq(moe_safetensors_get(file, 0)->name, "a");
    ck_assert_int_eq(moe_safetensors_get(file, 0)->ndim, 0);
    ck_assert_int_eq(moe_safetensors_get(file, 3)->size_bytes, 2);
    ck_assert_ptr_null(moe_safetensors_get(file, 4));
    ck_assert_ptr_null(moe_safetensors_find(file, "c"));
    t = moe_safetensors_find(file, "b");
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq((int)t->dtype, (int)MOE_DTYPE_bf16);
    ck_assert(t->ndim == 2 && t->dim[0] == 2 && t->dim[1] == 3);
    ck_assert_int_eq(t->size_bytes, 12);
    ck_assert_int_eq(moe_safetensors_read(file, t, 1, 8, data), MOE_OK);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(data[i], 5 + i);
    }
    ck_assert_int_eq(moe_safetensors_find(file, "z")->size_bytes, 0);
}
END_TEST

START_TEST(each_dtype_of_the_format_is_read)
{
    for (int i = 0; i < MOE_DTYPE_COUNT; i++) {
        const char *name = moe_dtype_safetensors((moe_dtype_t)i);
        int64_t bytes = moe_dtype_bytes((moe_dtype_t)i, 6);
        char header[200];

        if (name[0] == '\0') {
            continue;
        }
        (void)snprintf(header, sizeof(header),
                       "{\"x\":{\"dtype\":\"%s\",\"shape\":[3,2],"
                       "\"data_offsets\":[0,%d]}}",
                       name, (int)bytes);
        write_tensors(header, bytes);
        ck_assert_int_eq(reopen(), MOE_OK);
        ck_assert_int_eq((int)moe_safetensors_get(file, 0)->dtype, i);
    }
}
END_TEST

START_TEST(a_file_without_tensors_is_good)
{
    write_tensors("{}", 0);
    ck_assert_int_eq(reopen(), MOE_OK);
    ck_assert_uint_eq(moe_safetensors_count(file), 0);
}
END_TEST

START_TEST(reading_outside_a_tensor_is_refused)
{
    static const int64_t range[][2] = {{-1, 1},       {0, 5},  {4, 1},
                                       {5, 0},        {1, -1}, {1, INT64_MAX},
                                       {INT64_MAX, 1}};
    const moe_safetensor_t *t;
    char data[8];

    write_tensors("{\"x\":{\"dtype\":\"U8\",\"shape\":[4],"
                  "\"data_offsets\":[0,4]}}",
                  4);
    ck_assert_int_eq(reopen(), MOE_OK);
    t = moe_safetensors_get(file, 0);
    ck_assert_int_eq(moe_safetensors_read(file, t, 4, 0, data), MOE_OK);
    for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
        ck_assert_int_eq(
            moe_safetensors_read(file, t, range[i][0], range[i][1], data),
            MOE_ERR_RANGE);
    }
    ck_assert_int_eq(truncate(path, 60), 0);
    ck_assert_int_eq(moe_safetensors_read(file, t, 0, 4, data), MOE_ERR_IO);
}
END_TEST

#define ENTRY(dtype, shape, offsets)                                           \
    "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define ONE(dtype, shape, offsets) "{\"x\":" ENTRY(dtype, shape, offsets) "}"
#define U8(shape, offsets)         ENTRY("\"U8\"", shape, offsets)

/* Headers for 8 bytes of data, and what is said of them. */
static const struct {
    const char *header;
    const char *message;
} bad[] = {
    {"", "byte 8: header: "},
    {"[]", "byte 8: header: expected a JSON object"},
    {"{\"x\":", "header: "},
    {"{} {}", "byte 12: header: "},
    {"{\"\xff\":1}", "header: unable to decode byte 0xff"},
    {"{\"a\\u0000b\":1}", "header: NUL byte in object key"},
    {"{\"x\":1}", "byte 9: tensor 'x': expected dtype"},
    {"{\"x\":{}}", "byte 9: tensor 'x': dtype: expected a text"},
    {ONE("\"U9\"", "[8]", "[0,8]"), "byte 9: tensor 'x': unknown dtype"},
    {ONE("\"\"", "[8]", "[0,8]"), "byte 9: tensor 'x': unknown dtype"},
    {ONE("7", "[8]", "[0,8]"), "dtype: expected a text"},
    {ONE("\"U8\"", "8", "[0,8]"), "shape: expected a list"},
    {ONE("\"U8\"", "[8.0]", "[0,8]"), "shape: expected integers from 0"},
    {ONE("\"U8\"", "[-8]", "[0,8]"), "shape: expected integers from 0"},
    {ONE("\"U8\"", "[\"8\"]", "[0,8]"), "shape: expected integers from 0"},
    {ONE("\"U8\"", "[8,1,1,1,1,1,1,1,1]", "[0,8]"), "more than 8 dimensions"},
    {ONE("\"F32\"", "[4294967296,4294967296]", "[0,8]"), "64 bits"},
    {ONE("\"F32\"", "[0,4294967296,4294967296]", "[0,0]"), "64 bits"},
    {ONE("\"F32\"", "[99999999999999999999]", "[0,8]"), "too big integer"},
    {ONE("\"F4\"", "[15]", "[0,8]"), "not a whole number of bytes"},
    {ONE("\"U8\"", "[8]", "[0]"), "data_offsets: expected two integers"},
    {ONE("\"U8\"", "[8]", "{\"0\":1}"), "data_offsets: expected two integers"},
    {ONE("\"U8\"", "[8]", "[0,8,9]"), "data_offsets: expected two integers"},
    {ONE("\"U8\"", "[8]", "[0,8.0]"), "data_offsets: expected two integers"},
    {ONE("\"U8\"", "[8]", "[8,0]"), "data_offsets: begin after end"},
    {ONE("\"U8\"", "[8]", "[-8,0]"), "data_offsets: begin after end"},
    {ONE("\"U8\"", "[8]", "[0,9223372036854775807]"), "beyond the end"},
    {ONE("\"U8\"", "[9]", "[0,9]"), "beyond the end of the file"},
    {ONE("\"U8\"", "[7]", "[0,8]"), "disagree about its size"},
    {ONE("\"U8\"", "[7]", "[0,7]"), "1 bytes that belong to no tensor"},
    {ONE("\"U8\"", "[7]", "[1,8]"), "tensor 'x' leaves a hole before it"},
    {"{}", "byte 10: 8 bytes that belong to no tensor"},
    {"{\"x\":" U8("[5]", "[0,5]") ",\"y\":" U8("[4]", "[4,8]") "}",
     "tensor 'y' overlaps the one before it"},
    {"{\"x\":" U8("[3]", "[0,3]") ",\"y\":" U8("[4]", "[4,8]") "}",
     "tensor 'y' leaves a hole before it"},
    {"{\"x\":" U8("[4]", "[4,8]") ",\"y\":" U8("[4]", "[0,4]") "}",
     "tensor 'x' comes before one whose data come earlier"},
    {"{\"x\":" U8("[8]", "[0,8]") ",\"x\":" U8("[8]", "[0,8]") "}",
     "duplicate object key"},
    {"{\"x\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", "duplicate object key"},
    {"{\"x\":[[[[[[[[1]]]]]]]]}", "nested deeper"},
};

START_TEST(a_bad_header_is_refused_with_path_and_byte)
{
    write_tensors(bad[_i].header, 8);
    ck_assert_int_eq(reopen(), MOE_ERR_INPUT);
    ck_assert_ptr_null(file);
    ck_assert_int_eq(strncmp(moe_error_text(), path, strlen(path)), 0);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), ": byte "));
    ck_assert_ptr_nonnull(strstr(moe_error_text(), bad[_i].message));
}
END_TEST

START_TEST(a_wrong_length_of_the_header_is_refused)
{
    static const uint64_t length[] = {3,
                                      100,
                                      100000001,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX,
                                      UINT64_MAX - 7};

    for (size_t i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
        write_parts(length[i], "{}", 2, 0);
        moe_error_clear();
        ck_assert_int_eq(reopen(), MOE_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(moe_error_text(), "byte 0: "));
    }
}
END_TEST

START_TEST(every_cut_of_a_good_file_is_refused)
{
    const char *header = ONE("\"BF16\"", "[2,3]", "[0,12]");
    off_t size = 8 + (off_t)strlen(header) + 12;

    write_tensors(header, 12);
    ck_assert_int_eq(reopen(), MOE_OK);
    while (--size >= 0) {
        ck_assert_int_eq(truncate(path, size), 0);
        ck_assert_int_eq(reopen(), MOE_ERR_INPUT);
    }
}
END_TEST

START_TEST(every_changed_byte_is_read_or_refused_cleanly)
{
    const char *header = ONE("\"BF16\"", "[2,3]", "[0,12]");
    static const char other[] = "\0\"\\[]{}-0:,\xff";
    const size_t n = strlen(header);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof(other) - 1; k++) {
            char changed[100];
            moe_status_t status;

            memcpy(changed, header, n);
            changed[i] = other[k];
            write_parts(n, changed, n, 12);
            status = reopen();
            ck_assert(status == MOE_OK || status == MOE_ERR_INPUT);
        }
    }
}
END_TEST

START_TEST(a_file_of_terabytes_needs_no_memory)
{
    const char *header = ONE("\"F32\"", "[1099511627776]", "[0,4398046511104]");
    struct rusage before;
    struct rusage after;
    unsigned char data[4] = {1, 1, 1, 1};

    write_tensors(header, 0);
    if (truncate(path, 8 + (off_t)strlen(header) + 4398046511104) != 0) {
        return; /* a file system without files that large */
    }
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    ck_assert_int_eq(reopen(), MOE_OK);
    ck_assert_int_eq(moe_safetensors_read(file, moe_safetensors_get(file, 0),
                                          4398046511100, 4, data),
                     MOE_OK);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
    ck_assert_int_eq(data[0] + data[1] + data[2] + data[3], 0);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 16384);
}
END_TEST

START_TEST(a_header_of_a_million_values_is_refused)
{
    const size_t size = 4000000;
    char *header = malloc(size);

    ck_assert_ptr_nonnull(header);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        memcpy(header + i, "[],", 3);
    }
    memcpy(header, "{\"x\":[", 6);
    write_parts(size, header, size, 0);
    free(header);
    ck_assert_int_eq(reopen(), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "more than a million"));
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused_without_waiting)
{
    static const char *const other[] = {"/", "/dev/zero", "/nowhere/x"};

    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        ck_assert_int_eq(moe_safetensors_open(other[i], &file), MOE_ERR_INPUT);
    }
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    moe_error_clear();
    ck_assert_int_eq(reopen(), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "is a pipe"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("safetensors");
    TCase *t = tcase_create("safetensors");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, tensors_come_in_order_of_their_data);
    tcase_add_test(t, each_dtype_of_the_format_is_read);
    tcase_add_test(t, a_file_without_tensors_is_good);
    tcase_add_test(t, reading_outside_a_tensor_is_refused);
    tcase_add_loop_test(t, a_bad_header_is_refused_with_path_and_byte, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(t, a_wrong_length_of_the_header_is_refused);
    tcase_add_test(t, every_cut_of_a_good_file_is_refused);
    tcase_add_test(t, every_changed_byte_is_read_or_refused_cleanly);
    tcase_add_test(t, a_file_of_terabytes_needs_no_memory);
    tcase_add_test(t, a_header_of_a_million_values_is_refused);
    tcase_add_test(t, what_is_no_regular_file_is_refused_without_waiting);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
