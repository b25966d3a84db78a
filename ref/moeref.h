/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: low-precision number formats, bit for bit.
 *
 * The reference conversions and quantisers of moesim as a library of plain C,
 * for tests of kernels in any language. It needs nothing else of moesim, and
 * this one header: what it includes is in it where it is installed.
 *
 * All rounding is to nearest, ties to even, in the default floating-point
 * environment. Functions on numbers and matrices neither allocate, print, nor
 * keep state (but the table of the fast-rcp profiles, read once), so that
 * threads may call them at once. A case (moeref_case_t) is what allocates: it
 * keeps its tensors until moeref_case_free(), and is used by one thread at a
 * time; moeref_error() is the thread's own. Nothing prints. Matrices are
 * row-major. Arguments are borrowed for the call. Outputs are untouched on
 * error.
 */
#ifndef MOEREF_H
#define MOEREF_H

#include "moeref_base.h"
#include "moeref_case.h"
#include "moeref_number.h"
#include "moeref_nvfp4.h"
#include "moeref_profile.h"
#include "moeref_scales.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOEREF_VERSION_MAJOR 0
#define MOEREF_VERSION_MINOR 1
#define MOEREF_VERSION_PATCH 0

/** Version of the library that runs: "0.1.0". */
MOEREF_API const char *moeref_version(void);

#ifdef __cplusplus
}
#endif

#endif
