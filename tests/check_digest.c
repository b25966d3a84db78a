/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

/* FIPS 180-4 examples, and the empty message. */
static const struct {
    const char *text;
    const char *digest;
} known[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

START_TEST(published_digests_are_met)
{
    char digest[MOE_DIGEST_CHARS];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        moe_digest_hex(known[i].text, strlen(known[i].text), digest);
        ck_assert_str_eq(digest, known[i].digest);
    }
}
END_TEST

START_TEST(a_million_letters_too)
{
    const size_t size = 1000000;
    char digest[MOE_DIGEST_CHARS];
    char *text = malloc(size);

    ck_assert_ptr_nonnull(text);
    memset(text, 'a', size);
    moe_digest_hex(text, size, digest);
    free(text);
    ck_assert_str_eq(
        digest,
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("digest");
    TCase *t = tcase_create("digest");

    tcase_add_test(t, published_digests_are_met);
    tcase_add_test(t, a_million_letters_too);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
