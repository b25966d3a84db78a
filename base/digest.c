/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <sys/types.h>

#include <sha2.h>
#include <stdint.h>

void moe_digest_hex(const void *data, size_t size, char out[MOE_DIGEST_CHARS])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum[SHA256_DIGEST_LENGTH];
    SHA2_CTX context;

    SHA256Init(&context);
    SHA256Update(&context, data, size);
    SHA256Final(sum, &context);
    for (size_t i = 0; i < sizeof(sum); i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[2 * sizeof(sum)] = '\0';
}
