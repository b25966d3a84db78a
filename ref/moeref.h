/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: low-precision number formats, bit for bit.
 *
 * The reference conversions and quantisers of moesim as a library of plain C,
 * for tests of kernels in any language. This header needs nothing else of
 * moesim.
 *
 * All rounding is to nearest, ties to even, in the default floating-point
 * environment; nothing here allocates, prints, or keeps state (but the table
 * of the fast-rcp profiles, read once), so that
 * threads may call everything at once. Matrices are row-major. Arguments are
 * borrowed for the call. Outputs are untouched on error.
 */
#ifndef MOEREF_H
#define MOEREF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MOEREF_API __attribute__((visibility("default")))
#else
#define MOEREF_API
#endif

#define MOEREF_VERSION_MAJOR 0
#define MOEREF_VERSION_MINOR 1
#define MOEREF_VERSION_PATCH 0

/** Version of the library that runs: "0.1.0". */
MOEREF_API const char *moeref_version(void);

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

/* ---- Numbers ------------------------------------------------------------
 *
 * bf16 and fp16: bits as in IEEE 754 interchange; a NaN stays a NaN, quiet.
 * E2M1: codes 0..F for +-{0, 0.5, 1, 1.5, 2, 3, 4, 6}; from_e2m1 takes the
 * low four bits. E4M3: the "fn" kind, without infinity, NaN 7F and FF. E5M2:
 * infinity 7C, NaN 7D to 7F. E8M0: 2^(code - 127) of |x|, NaN FF; upward, or
 * with _zero toward zero.
 *
 * They saturate at 6, 448, 57344 and 2^127, infinity too; with _nosat E4M3
 * and E8M0 give NaN and E5M2 infinity instead. A NaN of either sign gives 7
 * in E2M1, 7F in E4M3 and E5M2, FF in E8M0. A zero keeps its sign. Source:
 * OCP Microscaling Formats 1.0; cuda_fp4 and cuda_fp8 of CUDA 13.0, on all
 * 2^32 floats. */

MOEREF_API uint16_t moeref_to_bf16(float x);
MOEREF_API float moeref_from_bf16(uint16_t bits);
MOEREF_API uint16_t moeref_to_fp16(float x);
MOEREF_API float moeref_from_fp16(uint16_t bits);
MOEREF_API uint8_t moeref_to_e2m1(float x);
MOEREF_API float moeref_from_e2m1(uint8_t code);
MOEREF_API uint8_t moeref_to_e4m3(float x);
MOEREF_API uint8_t moeref_to_e4m3_nosat(float x);
MOEREF_API float moeref_from_e4m3(uint8_t code);
MOEREF_API uint8_t moeref_to_e5m2(float x);
MOEREF_API uint8_t moeref_to_e5m2_nosat(float x);
MOEREF_API float moeref_from_e5m2(uint8_t code);
MOEREF_API uint8_t moeref_to_e8m0(float x);
MOEREF_API uint8_t moeref_to_e8m0_nosat(float x);
MOEREF_API uint8_t moeref_to_e8m0_zero(float x);
MOEREF_API uint8_t moeref_to_e8m0_zero_nosat(float x);
MOEREF_API float moeref_from_e8m0(uint8_t code);

/**
 * Name of conversion i, as moesim list conversions shows them: "bf16" ...
 * "e8m0_zero_nosat"; NULL after the last.
 */
MOEREF_API const char *moeref_conversion_name(size_t i);

/**
 * n floats to codes by a conversion, and back, one code an element.
 * @param[in]  conversion  Its name.
 * @param[out] codes       uint16_t for bf16 and fp16, uint8_t for the others;
 *                         E2M1 is not packed.
 */
MOEREF_API moeref_status_t moeref_encode(const char *conversion, const float *x,
                                         size_t n, void *codes);
MOEREF_API moeref_status_t moeref_decode(const char *conversion,
                                         const void *codes, size_t n,
                                         float *out);

/** float64 to bf16 or fp16 bits in one rounding, never by way of
 * float. */
MOEREF_API uint16_t moeref_double_to_bf16(double x);
MOEREF_API uint16_t moeref_double_to_fp16(double x);

/* ---- NVFP4 --------------------------------------------------------------
 *
 * Blocks of 16 columns: E2M1 codes, two a byte, the even column in the low
 * nibble; one E4M3 scale a block, linear: [rows][cols / 16]; one fp32 global
 * scale a tensor in the *encode* direction: code ~ x * global_scale / scale.
 * Element = code * scale * RN32(1 / global_scale). */

/**
 * Global scale of a tensor whose largest magnitude is amax: 448 * 6 / amax,
 * at most FLT_MAX; 1 if amax or that quotient is 0, as TransformerEngine
 * has it.
 */
MOEREF_API float moeref_nvfp4_global_scale(float amax);

/**
 * Quantise by the profile te-exact: TransformerEngine's IEEE-exact recipe,
 * which FlashInfer follows with FLASHINFER_DISABLE_FP4_QUANT_FAST_MATH=1.
 * v is a block's largest magnitude (NaN counts nothing), RN one rounding to
 * fp32:
 *
 *     scale = E4M3(RN(v * RN(global_scale * RN(1/6)))), 0 if v is 0
 *     os    = min(RN(1 / RN(scale * RN(1/global_scale))), FLT_MAX)
 *     code  = E2M1(RN(x * os))
 *
 * @param[in]  x             [rows][cols].
 * @param[in]  cols          A multiple of 16.
 * @param[in]  global_scale  Positive and finite, its inverse too.
 * @param[out] codes         [rows][cols / 2].
 * @param[out] scales        [rows][cols / 16].
 */
MOEREF_API moeref_status_t moeref_nvfp4_quantize(const float *x, size_t rows,
                                                 size_t cols,
                                                 float global_scale,
                                                 uint8_t *codes,
                                                 uint8_t *scales);

/** The same from bf16 bits. */
MOEREF_API moeref_status_t moeref_nvfp4_quantize_bf16(const uint16_t *x,
                                                      size_t rows, size_t cols,
                                                      float global_scale,
                                                      uint8_t *codes,
                                                      uint8_t *scales);

/** Decode: the exact value of each element rounded once. out [rows][cols]. */
MOEREF_API moeref_status_t moeref_nvfp4_dequantize(const uint8_t *codes,
                                                   const uint8_t *scales,
                                                   size_t rows, size_t cols,
                                                   float global_scale,
                                                   float *out);

/** The same to bf16 bits. */
MOEREF_API moeref_status_t moeref_nvfp4_dequantize_bf16(
    const uint8_t *codes, const uint8_t *scales, size_t rows, size_t cols,
    float global_scale, uint16_t *out);

/* ---- Quantiser profiles -------------------------------------------------
 *
 * Rows to codes and scales as a named kernel computes them, bit for bit;
 * doc/formats.md has each formula, who uses it, and where bits differ. Codes
 * of a row are packed (E2M1: even column in the low nibble), rows follow each
 * other without gaps; scales are linear, [rows][blocks], in their own type:
 * E4M3 and E8M0 a byte, bf16 two, fp32 four; two bf16 in four bytes for
 * LogFMT-10. The fast-rcp profiles read a table once (MOESIM_RCP_TABLE, or
 * the installed one): the only file that this library opens. */

typedef enum {
    MOEREF_PROFILE_TE_EXACT = 1,
    MOEREF_PROFILE_FLASHINFER_EXACT,
    MOEREF_PROFILE_FAST_RCP_SM90,
    MOEREF_PROFILE_FAST_RCP_SM90_VLLM,
    MOEREF_PROFILE_TORCHAO_NVFP4,
    MOEREF_PROFILE_MXFP4_FLOOR,
    MOEREF_PROFILE_MXFP4_EVEN,
    MOEREF_PROFILE_MXFP4_CEIL6,
    MOEREF_PROFILE_MXFP4_CEIL,
    MOEREF_PROFILE_MXFP8_RCEIL,
    MOEREF_PROFILE_MXFP8_FLASHINFER,
    MOEREF_PROFILE_MXFP8_E5M2_RCEIL,
    MOEREF_PROFILE_DEEPEP,
    MOEREF_PROFILE_DEEPGEMM,
    MOEREF_PROFILE_VLLM_1X128,
    MOEREF_PROFILE_TRTLLM_1X128,
    MOEREF_PROFILE_DEEPEP_UE8M0,
    MOEREF_PROFILE_DEEPGEMM_UE8M0,
    MOEREF_PROFILE_VLLM_UE8M0,
    MOEREF_PROFILE_FP8_TOKEN_VLLM,
    MOEREF_PROFILE_FP8_TENSOR,
    MOEREF_PROFILE_INT8_DISPATCH,
    MOEREF_PROFILE_INT8_INIT_ROUTING,
    MOEREF_PROFILE_INT8_VLLM,
    MOEREF_PROFILE_INT8_COMBINE,
    MOEREF_PROFILE_LOGFMT10_DEEPEP
} moeref_profile_t;

/** Facts of a profile; strings are constants. */
typedef struct {
    const char *name;
    const char *format;
    const char *formula;
    const char *users;
    const char *differs;
    size_t block;         /* columns that share a scale; SIZE_MAX: all of a
                           * row; 0: no scales */
    size_t code_bits;     /* of an element */
    size_t scale_bytes;   /* of a scale */
    int has_global;       /* takes a global scale */
    double budget_scales; /* what share of another machine's scales, and */
    double budget_codes;  /* codes, may differ by one step */
} moeref_profile_info_t;

/** MOEREF_ERR_NAME if there is no such profile. */
MOEREF_API moeref_status_t moeref_profile_info(moeref_profile_t profile,
                                               moeref_profile_info_t *info);

/** Profile by its name, or by that of a system for a format: ("vllm",
 * "nvfp4"). MOEREF_ERR_NAME if there is none. */
MOEREF_API moeref_status_t moeref_profile_find(const char *word,
                                               const char *format,
                                               moeref_profile_t *profile);

/** Global scale from a tensor's largest magnitude as the profile's users
 * compute it, in the profile's direction: 2688 / amax, guarded in te-exact as
 * moeref_nvfp4_global_scale(), amax / 2688 in torchao; 0 if it takes none. */
MOEREF_API float moeref_global_scale(moeref_profile_t profile, float amax);

/** Bytes of a row's codes and scales; 0 if cols do not fit. */
MOEREF_API size_t moeref_row_code_bytes(moeref_profile_t profile, size_t cols);
MOEREF_API size_t moeref_row_scale_bytes(moeref_profile_t profile, size_t cols);

/**
 * Quantise rows.
 *
 * @param[in]  x             [rows][cols].
 * @param[in]  cols          A multiple of the block.
 * @param[in]  global_scale  In the profile's direction; ignored where it has
 *                           none.
 * @param[out] codes, scales Sizes as above; scales may be NULL without.
 * @return MOEREF_OK; MOEREF_ERR_NAME, MOEREF_ERR_SIZE; MOEREF_ERR_SCALE where
 *         te-exact and fp8-tensor refuse 0 and infinity; MOEREF_ERR_TABLE
 *         without the table of a fast-rcp profile.
 */
MOEREF_API moeref_status_t moeref_quantize(moeref_profile_t profile,
                                           const float *x, size_t rows,
                                           size_t cols, float global_scale,
                                           void *codes, void *scales);

/** The same from bf16 bits. */
MOEREF_API moeref_status_t moeref_quantize_bf16(moeref_profile_t profile,
                                                const uint16_t *x, size_t rows,
                                                size_t cols, float global_scale,
                                                void *codes, void *scales);

/** Decode: code x scale x global scale, rounded once. out [rows][cols]. */
MOEREF_API moeref_status_t moeref_dequantize(moeref_profile_t profile,
                                             const void *codes,
                                             const void *scales, size_t rows,
                                             size_t cols, float global_scale,
                                             float *out);

/* ---- Scale layouts ------------------------------------------------------ */

typedef enum {
    MOEREF_SCALES_LINEAR = 0, /* [rows][blocks] */
    MOEREF_SCALES_128X4 = 1,  /* tiles of 128 rows x 4 blocks: cuBLAS,
                               * CUTLASS, FlashInfer, vLLM, TensorRT-LLM */
    MOEREF_SCALES_8X4 = 2     /* tiles of 8 rows x 4 blocks: TensorRT-LLM
                               * for few rows */
} moeref_scale_layout_t;

/** Bytes of rows x blocks one-byte scales in a layout, padding included; 0
 * for an unknown layout or sizes that overflow. */
MOEREF_API size_t moeref_scales_bytes(moeref_scale_layout_t layout, size_t rows,
                                      size_t blocks);

/** Offset of the scale of a row and a block; blocks is the number of a row. */
MOEREF_API size_t moeref_scales_offset(moeref_scale_layout_t layout,
                                       size_t blocks, size_t row, size_t block);

/**
 * Linear scales to a layout, padding zeroed; and back.
 *
 * Tiled parts may be put together only if each has full tiles of rows: move
 * scales linear, and tile them where they are used.
 *
 * @param[out] tiled  moeref_scales_bytes() bytes.
 */
MOEREF_API moeref_status_t moeref_scales_swizzle(moeref_scale_layout_t layout,
                                                 size_t rows, size_t blocks,
                                                 const uint8_t *linear,
                                                 uint8_t *tiled);
MOEREF_API moeref_status_t moeref_scales_unswizzle(moeref_scale_layout_t layout,
                                                   size_t rows, size_t blocks,
                                                   const uint8_t *tiled,
                                                   uint8_t *linear);

/**
 * Tiled shards of rows to the tiled whole: each made linear, all put one
 * after the other, and that tiled again ("reswizzle"). Padding zeroed. Plain
 * concatenation of the bytes does the same only if every shard but the last
 * with rows fills its tiles.
 *
 * @param[in]  rows   [shards] rows of each; may be 0.
 * @param[in]  shard  [shards], each moeref_scales_bytes() of its rows.
 * @param[out] whole  moeref_scales_bytes() of all rows; overlaps no shard.
 */
MOEREF_API moeref_status_t moeref_scales_gather(moeref_scale_layout_t layout,
                                                const size_t *rows,
                                                size_t shards, size_t blocks,
                                                const uint8_t *const *shard,
                                                uint8_t *whole);

/* ---- A rank's layer -----------------------------------------------------
 *
 * One rank's share of an MoE layer with generated data: a range of tokens,
 * all of which it sees, and a range of local experts. Its tensors are those
 * of the chain - hidden, logits, topk_ids, topk_weights, dispatch, expert_in,
 * gemm1_out, act_out, gemm2_in, gemm2_out, combine, output -, each the exact
 * result of those before it, rounded once; of an expert's stages the rows are
 * pairs of a token and a local expert of its, by expert, then token. */

/** A case; used by one thread at a time. */
typedef struct moeref_case moeref_case_t;

/** A matrix; dtypes are names of moesim's elements: bf16, fp32, e2m1 (two a
 * byte), e4m3, i32, i64, ... Owned by who made it. */
typedef struct {
    const char *dtype;
    const char *scale_dtype; /* NULL without scales */
    void *data;              /* [rows][cols] */
    void *scales;            /* [rows][blocks], linear */
    int64_t rows;
    int64_t cols;
    int64_t blocks;
    float global_scale; /* of the profile; 0 without */
    float decode_scale; /* element = code x scale x this, exactly */
} moeref_tensor_t;

/** Why the last call of this thread failed, "" if it did not. */
MOEREF_API const char *moeref_error(void);

/**
 * A case from settings, "key=value" separated by blanks: hidden,
 * intermediate, experts, topk, token_end and expert_end must be given; the
 * others are those of a scenario and of a model file (score, seed, dispatch,
 * profile, ...), and data and inject, see ref/case_setting.def.
 * @return Ended with moeref_case_free(); NULL, and moeref_error().
 */
MOEREF_API moeref_case_t *moeref_case_new(const char *settings);
MOEREF_API void moeref_case_free(moeref_case_t *c);

/**
 * A tensor of a case, made when first wanted: one of the chain; NAME.abs,
 * fp32 bounds of the sum of the magnitudes behind each element of NAME; w13
 * and w2, rows of all local experts one after the other; router [experts]
 * [hidden] and bias; token (i64), slot, expert (i32) of the pairs.
 * @param[out] tensor  Valid until the case ends.
 */
MOEREF_API moeref_status_t moeref_case_tensor(moeref_case_t *c,
                                              const char *name,
                                              moeref_tensor_t *tensor);

/**
 * Judge somebody's tensors of the chain, each from the one before it that is
 * given, or else from the exact ones.
 * @param[in]  names, got  [n]; a tensor of numbers may be of any float type.
 * @param[out] text        A line for each tensor, wrong ones first; in the
 *                         first what the mistake looks like.
 *
 * In a case with inject=NAME, what is given is replaced, from the place of
 * that mistake on, by what the reference computes with it.
 * @return MOEREF_OK, MOEREF_ERR_WRONG, or why it could not be judged:
 *         MOEREF_ERR_UNSUPPORTED also if the mistake changes nothing here.
 */
MOEREF_API moeref_status_t moeref_case_check(const moeref_case_t *c,
                                             const char *const *names,
                                             const moeref_tensor_t *got, int n,
                                             char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
