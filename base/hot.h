/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Loops that the compiler shall vectorise for the processor at hand.
 *
 * MOE_HOT functions are compiled for several instruction sets; the loader
 * chooses. They hold plain C whose rounding does not depend on the choice:
 * no sum whose order the compiler may change, no contraction to fma
 * (-ffp-contract=off). Under sanitizers and valgrind's smaller processors
 * the plain clone runs. They are static, each with a name of its own in the
 * program: Clang 14 gives the resolvers of all of them external linkage.
 */
#ifndef BASE_HOT_H
#define BASE_HOT_H

#include "config.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) &&          \
    !defined(MOESIM_SANITIZED) && !defined(__SANITIZE_ADDRESS__)
#define MOE_HOT_CLONES target_clones("avx512f", "avx2", "default")
#if defined(__clang__)
#define MOE_HOT __attribute__((MOE_HOT_CLONES))
#else
#define MOE_HOT __attribute__((MOE_HOT_CLONES, optimize("O3")))
#endif
#else
#define MOE_HOT
#endif

/** For helpers inside such loops. */
#if defined(__GNUC__)
#define MOE_HOT_INLINE static inline __attribute__((always_inline))
#else
#define MOE_HOT_INLINE static inline
#endif

#endif
