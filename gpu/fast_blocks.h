/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Blocks of bf16 by number, for the fast NVFP4 profiles: gpu/fast_vectors.cu
 * and tests/check_quantize_fast.c make the same ones. C and CUDA.
 */
#ifndef GPU_FAST_BLOCKS_H
#define GPU_FAST_BLOCKS_H

#include <stdint.h>

#ifdef __CUDACC__
#define FAST_BLOCKS static __host__ __device__ inline
#else
#define FAST_BLOCKS static inline
#endif

#define FAST_BLOCK   16
#define FAST_BYTES   9   /* of a block's result: scale, packed codes */
#define FAST_SPECIAL 64  /* every so manieth block has a special element */
#define FAST_GROUP   128 /* of LogFMT-10 */

/** Random bits by number (the finaliser of SplitMix64). */
FAST_BLOCKS uint64_t fast_random(uint64_t i)
{
    i += 0x9e3779b97f4a7c15u;
    i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9u;
    i = (i ^ (i >> 27)) * 0x94d049bb133111ebu;
    return i ^ (i >> 31);
}

/** Global scale of a block as bits of a float: 2^6 to 2^16; every 61st 2^-40
 * to 2^40; infinite (an amax of 0) in every 1000th. */
FAST_BLOCKS uint32_t fast_global(uint64_t block)
{
    uint64_t r = fast_random(block * 32);
    uint32_t exponent = (uint32_t)(133 + (r >> 40) % 10);

    if (block % 61 == 17) {
        exponent = (uint32_t)(87 + (r >> 40) % 81);
    }
    return block % 1000 == 999 ? 0x7f800000u
                               : exponent << 23 | (uint32_t)(r & 0x7fffff);
}

/** Element of a block, bits of bf16: 0 to 14 octaves below the amax that the
 * global scale stands for; some blocks with zeros, infinity or NaN. */
FAST_BLOCKS uint16_t fast_element(uint64_t block, int i)
{
    uint64_t r = fast_random(block * 32 + 1);
    uint64_t e = fast_random(block * 32 + 2 + (uint64_t)i);
    uint32_t global = fast_global(block) >> 23;
    uint32_t top = 127 + 138 - (global > 200 ? 138 : global);
    uint32_t exponent = top - (uint32_t)(r % 11) - (uint32_t)((e >> 8) % 5);
    uint16_t sign = (uint16_t)(e >> 63 << 15);

    if (block % FAST_SPECIAL == 0 && i == (int)(r >> 32) % FAST_BLOCK) {
        static const uint16_t special[8] = {0x8000, 0, 0x7f80, 0x7fc0,
                                            0xff80, 1, 0x8001, 0xffc0};

        return special[(r >> 20) % 8];
    }
    if (block % 127 == 5) {
        return sign; /* all zeros, of both signs */
    }
    if (block % 131 == 7) {
        exponent -= 9; /* a scale that underflows, or nearly */
    }
    return (uint16_t)(sign | exponent << 7 | (e & 0x7f));
}

/** Element of a group of 128 for LogFMT-10: magnitudes 2^-1 and below. */
FAST_BLOCKS uint16_t fast_logfmt_element(uint64_t group, int i)
{
    uint64_t r = fast_random(~group * 32);
    uint64_t e = fast_random((group << 20) + (uint64_t)i + 77777);
    uint32_t exponent = 126 - (uint32_t)(r % 20);

    exponent -= (uint32_t)((e >> 8) % (1 + (r >> 30) % 40));
    if (group % 16 == 3 && i % 11 == 5) {
        return (uint16_t)(e >> 63 << 15);
    }
    return (uint16_t)(e >> 63 << 15 | exponent << 7 | (e & 0x7f));
}

#endif
