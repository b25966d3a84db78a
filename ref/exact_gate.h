/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Activations that float64 could not decide, by MPFR.
 */
#ifndef REF_EXACT_GATE_H
#define REF_EXACT_GATE_H

#include "moe/format.h"
#include "moe/model.h"

#include <stdint.h>

/** Constants of moe/activation.def. */
#define MOE_OAI_ALPHA 0x1.b3b646p+0 /* RN32(1.702) */
#define MOE_OAI_LIMIT 7.0

/**
 * Code of RN(g S(g) u), S between 0 and 1 that of the activation; for
 * swiglu_oai of RN(g S(g) (u + 1)) after clamping. Not relu_glu.
 *
 * @param[in] g, u  fp32 numbers, finite and not 0 (nor u -1), and where S(g)
 *                  is less than 2^-60 from 1/2, or 2^-64 from 1, the caller
 *                  knows better: the loop would need thousands of bits.
 */
uint32_t moe_exact_gate(moe_activation_t activation, double g, double u,
                        moe_format_t format);

#endif
