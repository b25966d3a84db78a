/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Named quantiser algorithms; doc/formats.md is their table.
 */
#ifndef MOE_PROFILE_H
#define MOE_PROFILE_H

#include "moe/format.h"

#include <stdbool.h>

typedef enum {
#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    MOE_PROFILE_##id,
#include "moe/profile.def"
#undef MOE_PROFILE
    MOE_PROFILE_COUNT
} moe_profile_t;

/** What a global scale multiplies. */
typedef enum {
    MOE_GLOBAL_none,
    MOE_GLOBAL_encode, /* code = x * scale: 448 * 6 / amax */
    MOE_GLOBAL_decode  /* x = code * scale: amax / (448 * 6) */
} moe_global_t;

/** How often a machine's bits may differ from the profile's. */
typedef struct {
    const char *name;
    double scales; /* share of scales, each by one step */
    double codes;  /* share of codes in blocks of equal scale, each by one
                    * step and next to a midpoint */
    double near;   /* how near, as a share of the midpoint */
    const char *text;
} moe_budget_t;

typedef struct {
    const char *name; /* as scenarios spell it */
    moe_format_t format;
    moe_global_t global;
    const moe_budget_t *budget;
    const char *text;    /* the formula */
    const char *users;   /* systems, with version */
    const char *differs; /* where bits are not those of its neighbours */
} moe_profile_info_t;

/** Facts of a profile; NULL if out of range. */
const moe_profile_info_t *moe_profile_info(moe_profile_t profile);

/** Name of a profile; "?" if out of range. */
const char *moe_profile_name(moe_profile_t profile);

/** One line about a profile. */
const char *moe_profile_text(moe_profile_t profile);

/** Format that a profile quantises to. */
moe_format_t moe_profile_format(moe_profile_t profile);

/** Default profile of a format; MOE_PROFILE_none for plain types. */
moe_profile_t moe_profile_default(moe_format_t format);

/**
 * Profile of a format by its name or by a system's (vllm, sglang, trtllm,
 * flashinfer, te, torchao, ..: moe/profile_alias.def).
 * @return false, *profile_p untouched, if no profile of the format is called
 *         that.
 */
bool moe_profile_find(const char *word, moe_format_t format,
                      moe_profile_t *profile_p);

/** All words for profiles, names and then systems, by number; NULL after the
 * last. The first MOE_PROFILE_COUNT are names. */
const char *moe_profile_word(int place);

#endif
