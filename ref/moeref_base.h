/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: what its functions return. Part of <moeref.h>, which is what to
 * include.
 */
#ifndef MOEREF_BASE_H
#define MOEREF_BASE_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MOEREF_API __attribute__((visibility("default")))
#else
#define MOEREF_API
#endif

/** What functions return that can fail. */
typedef enum {
    MOEREF_OK = 0,
    MOEREF_ERR_SIZE = 1,  /* columns no multiple of 16, or sizes overflow */
    MOEREF_ERR_SCALE = 2, /* a global scale that is no positive number */
    MOEREF_ERR_NAME = 3,  /* a name that is not known */
    MOEREF_ERR_TABLE = 4, /* no table of rcp.approx.ftz: see MOESIM_RCP_TABLE */
    MOEREF_ERR_ARGUMENT = 5, /* see moeref_error() */
    MOEREF_ERR_UNSUPPORTED = 6,
    MOEREF_ERR_MEMORY = 7,
    MOEREF_ERR_WRONG = 8 /* somebody's tensor was judged, and is wrong */
} moeref_status_t;

#ifdef __cplusplus
}
#endif

#endif
