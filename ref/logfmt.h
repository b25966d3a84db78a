/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * LogFMT-10, what DeepEP's low-latency combine can send instead of bf16.
 *
 * 16 columns lie in 20 bytes, as bits from the low end: 16 codes of 9 bits,
 * then 16 signs. A group of 128 has its largest and smallest magnitude v and
 * w, as bf16 in the low and the high half of a word. Code 0 is 0, code c is
 * 2^(RN((c - 1) step + log_low)), every result an fp32.
 */
#ifndef REF_LOGFMT_H
#define REF_LOGFMT_H

#include <stdint.h>

/** What a group's word says: logarithms to base 2. */
typedef struct {
    float low;  /* of code 1 */
    float high; /* of code 511 */
    float step; /* between codes; 0 if all magnitudes are alike */
} moe_logfmt_t;

/** Logarithms of a group; -infinity if all are zeros. */
moe_logfmt_t moe_logfmt10_group(uint32_t word);

/** Value of element i of a row's codes; word is its group's. */
float moe_logfmt10_value(const uint8_t *codes, int64_t i, uint32_t word);

/** RN32 of log2(x) and of 2^x, one rounding each; as on GPUs, subnormal
 * numbers count as 0. */
float moe_log2_f32(float x);
float moe_exp2_f32(float x);

#endif
