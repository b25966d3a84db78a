/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fast NVFP4 quantisers and LogFMT-10 give on the GPU at hand, with
 * CUDA's own conversions: the judge of tests/check_quantize_fast.c, which
 * makes the same inputs (gpu/fast_blocks.h).
 *
 * Source of the arithmetic: flashinfer-ai/flashinfer fb28d724,
 * quantization_utils.cuh; vLLM nvfp4_utils.cuh (guard scale != 0);
 * deepseek-ai/DeepEP dd758caf, internode_ll.cu.
 *
 *     nvcc -O2 -arch=sm_90 -I. gpu/fast_vectors.cu -o fast_vectors
 *     ./fast_vectors fast_sm90.txt logfmt_sm90.bin
 */
#include "gpu/fast_blocks.h"

#include <cuda_bf16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#define BLOCKS (1u << 22)
#define GROUPS 2048

static void must(cudaError_t error)
{
    if (error != cudaSuccess) {
        (void)fprintf(stderr, "fast_vectors: %s\n", cudaGetErrorString(error));
        exit(1);
    }
}

static __device__ float reciprocal(float x)
{
    float y;

    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ float log2_approx(float x)
{
    float y;

    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ float exp2_approx(float x)
{
    float y;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ float load(uint16_t bits)
{
    return __uint_as_float((uint32_t)bits << 16);
}

/* guard 0: v != 0 (FlashInfer), 1: the rounded scale != 0 (vLLM). */
static __device__ void quantise(uint64_t block, int guard, uint8_t *out)
{
    float global = __uint_as_float(fast_global(block));
    float v = 0.0f;

    for (int i = 0; i < FAST_BLOCK; i++) {
        v = fmaxf(v, fabsf(load(fast_element(block, i))));
    }
    float scale = __fmul_rn(global, __fmul_rn(v, reciprocal(6.0f)));
    __nv_fp8_e4m3 code = __nv_fp8_e4m3(scale);
    float s = (float)code;
    bool zero = guard == 0 ? v == 0.0f : s == 0.0f;
    float os = zero ? 0.0f : reciprocal(__fmul_rn(s, reciprocal(global)));

    out[0] = code.__x;
    for (int i = 0; i < FAST_BLOCK; i += 2) {
        float2 pair = {__fmul_rn(load(fast_element(block, i)), os),
                       __fmul_rn(load(fast_element(block, i + 1)), os)};

        out[1 + i / 2] =
            __nv_cvt_float2_to_fp4x2(pair, __NV_E2M1, cudaRoundNearest);
    }
}

static __global__ void quantise_all(int guard, uint8_t *out)
{
    uint64_t block = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x;

    quantise(block, guard, out + block * FAST_BYTES);
}

/* Codes of 9 bits with the sign in bit 15, and what they decode to. */
static __global__ void logfmt_all(uint16_t *codes, float *decoded)
{
    uint64_t group = blockIdx.x;
    float high = 0.0f;
    float low = __uint_as_float(0x7f800000u);

    for (int i = 0; i < FAST_GROUP; i++) {
        float x = fabsf(load(fast_logfmt_element(group, i)));

        high = fmaxf(high, x);
        low = fminf(low, x);
    }
    float log_high = log2_approx(high);
    float log_low = fmaxf(log2_approx(low), log_high - 32.0f);
    float step = (log_high - log_low) / 510.0f;
    float inverse = 1.0f / step;
    float rounding =
        2.0f - log2_approx((1.0f + exp2_approx(step)) * 0.5f) * inverse;
    float fused = rounding - log_low * inverse;

    for (int i = (int)threadIdx.x; i < FAST_GROUP; i += (int)blockDim.x) {
        uint16_t bits = fast_logfmt_element(group, i);
        float x = load(bits & 0x7fff);
        uint32_t code =
            __float2uint_rd(fmaxf(log2_approx(x) * inverse + fused, 0.0f));
        float y =
            code == 0 ? 0.0f : exp2_approx((float)(code - 1) * step + log_low);

        codes[group * FAST_GROUP + i] = (uint16_t)(code | (bits & 0x8000));
        decoded[group * FAST_GROUP + i] = (bits & 0x8000) != 0 ? -y : y;
    }
}

static uint64_t checksum(const uint8_t *bytes, size_t n)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    }
    return sum;
}

static void write_fast(FILE *file, int guard, const std::vector<uint8_t> &got)
{
    for (unsigned n = 1u << 10; n <= BLOCKS; n <<= 4) {
        (void)fprintf(
            file, "%d sum %u %016llx\n", guard, n,
            (unsigned long long)checksum(got.data(), (size_t)n * FAST_BYTES));
    }
    for (unsigned b = 0; b < 256; b++) {
        (void)fprintf(file, "%d block %u ", guard, b);
        for (int i = 0; i < FAST_BYTES; i++) {
            (void)fprintf(file, "%02x", got[b * FAST_BYTES + i]);
        }
        (void)fputc('\n', file);
    }
}

static void fast(const char *path)
{
    std::vector<uint8_t> got((size_t)BLOCKS * FAST_BYTES);
    FILE *file = fopen(path, "w");
    uint8_t *out;

    if (file == NULL) {
        exit(1);
    }
    must(cudaMalloc(&out, got.size()));
    for (int guard = 0; guard < 2; guard++) {
        quantise_all<<<BLOCKS / 256, 256>>>(guard, out);
        must(cudaGetLastError());
        must(cudaMemcpy(got.data(), out, got.size(), cudaMemcpyDeviceToHost));
        write_fast(file, guard, got);
    }
    (void)fclose(file);
}

static void logfmt(const char *path)
{
    const size_t n = (size_t)GROUPS * FAST_GROUP;
    std::vector<uint16_t> codes(n);
    std::vector<float> decoded(n);
    FILE *file = fopen(path, "wb");
    uint16_t *c;
    float *d;

    if (file == NULL) {
        exit(1);
    }
    must(cudaMalloc(&c, n * sizeof(*c)));
    must(cudaMalloc(&d, n * sizeof(*d)));
    logfmt_all<<<GROUPS, FAST_GROUP>>>(c, d);
    must(cudaGetLastError());
    must(cudaMemcpy(codes.data(), c, n * sizeof(*c), cudaMemcpyDeviceToHost));
    must(cudaMemcpy(decoded.data(), d, n * sizeof(*d), cudaMemcpyDeviceToHost));
    (void)fwrite(codes.data(), sizeof(*c), n, file);
    (void)fwrite(decoded.data(), sizeof(*d), n, file);
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    cudaDeviceProp device;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: fast_vectors FILE LOGFMT_FILE\n");
        return 2;
    }
    must(cudaGetDeviceProperties(&device, 0));
    (void)printf("%s, sm_%d%d\n", device.name, device.major, device.minor);
    fast(argv[1]);
    logfmt(argv[2]);
    return 0;
}
