/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The correction table of rcp.approx.ftz.f32, made on the GPU at hand.
 *
 * Profiles fast-rcp-* of NVFP4 multiply with this instruction's result, which
 * is not the rounded reciprocal: it misses it by one unit in the last place
 * for about 13 of 100 mantissas. The table says by which, for each of the
 * 2^23; ref/rcp_table.h describes its file. Every float is tried on the device
 * against what the table says before the file is written.
 *
 *     nvcc -O2 -arch=sm_90 -I. gpu/rcp_table.cu -o rcp_table
 *     ./rcp_table rcp_sm90.table
 */
#include "moe/rcp_table_file.h"

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static void must(cudaError_t error, const char *what)
{
    if (error != cudaSuccess) {
        (void)fprintf(stderr, "rcp_table: %s: %s\n", what,
                      cudaGetErrorString(error));
        exit(1);
    }
}

static __device__ float approximate(float x)
{
    float y;

    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Steps from the rounded reciprocal to the approximate one, for 1 <= x < 2. */
static __global__ void measure(int8_t *delta)
{
    uint32_t m = blockIdx.x * blockDim.x + threadIdx.x;
    float x = __uint_as_float(0x3f800000u | m);
    int steps =
        (int)(__float_as_uint(approximate(x)) - __float_as_uint(__frcp_rn(x)));

    delta[m] = (int8_t)(steps < -2 ? -2 : steps > 2 ? 2 : steps);
}

/* What the table says of any float: as moe_rcp_apply() in ref/rcp_table.h. */
static __device__ uint32_t expected(uint32_t bits, const uint8_t *table)
{
    uint32_t sign = bits & 0x80000000u;
    uint32_t a = bits & 0x7fffffffu;
    uint32_t m = a & 0x7fffff;
    uint32_t code = table[m / 4] >> (2 * (m % 4)) & 3;
    uint32_t r = __float_as_uint(__frcp_rn(__uint_as_float(0x3f800000u | m)));

    if (a > 0x7f800000u) {
        return 0x7fffffff;
    }
    if (a < 0x00800000u) {
        return sign | 0x7f800000u;
    }
    r += code == 1 ? 1 : code == 2 ? 0xffffffffu : 0;
    r -= a - (0x3f800000u | m); /* a multiple of 2^23: the exponent */
    return (int32_t)r < 0x00800000 ? sign : sign | r;
}

static __global__ void verify(const uint8_t *table, unsigned long long *wrong)
{
    uint64_t n = (uint64_t)gridDim.x * blockDim.x;
    uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

    for (; i < (uint64_t)1 << 32; i += n) {
        uint32_t want = expected((uint32_t)i, table);
        float got = approximate(__uint_as_float((uint32_t)i));
        bool same = (want & 0x7fffffff) > 0x7f800000
                        ? isnan(got)
                        : __float_as_uint(got) == want;

        if (!same) {
            atomicAdd(wrong, 1ull);
        }
    }
}

static std::vector<uint8_t> pack(const std::vector<int8_t> &delta,
                                 long count[3])
{
    std::vector<uint8_t> table(MOE_RCP_TABLE_BYTES);

    for (size_t m = 0; m < delta.size(); m++) {
        int code = delta[m] == 0 ? 0 : delta[m] == 1 ? 1 : 2;

        if (delta[m] < -1 || delta[m] > 1) {
            (void)fprintf(stderr,
                          "rcp_table: mantissa %06zx: more than one "
                          "step\n",
                          m);
            exit(1);
        }
        count[code]++;
        table[m / 4] |= (uint8_t)(code << (2 * (m % 4)));
    }
    return table;
}

static void write(const char *path, const std::vector<uint8_t> &table,
                  const cudaDeviceProp &device)
{
    moe_rcp_header_t header = {};
    FILE *file = fopen(path, "wb");

    memcpy(header.magic, MOE_RCP_MAGIC, sizeof(header.magic));
    header.architecture = (uint32_t)(10 * device.major + device.minor);
    header.entries = MOE_RCP_ENTRIES;
    header.checksum = moe_rcp_checksum(table.data(), table.size());
    (void)snprintf(header.device, sizeof(header.device), "%.63s", device.name);
    if (file == NULL || fwrite(&header, sizeof(header), 1, file) != 1 ||
        fwrite(table.data(), table.size(), 1, file) != 1 || fclose(file) != 0) {
        (void)fprintf(stderr, "rcp_table: %s: cannot be written\n", path);
        exit(1);
    }
    (void)printf("%s: %s, sm_%u, checksum %016llx\n", path, header.device,
                 header.architecture, (unsigned long long)header.checksum);
}

int main(int argc, char **argv)
{
    std::vector<int8_t> delta(MOE_RCP_ENTRIES);
    unsigned long long wrong = 0;
    unsigned long long *wrong_device;
    long count[3] = {0, 0, 0};
    cudaDeviceProp device;
    int8_t *delta_device;
    uint8_t *table_device;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: rcp_table FILE\n");
        return 2;
    }
    must(cudaGetDeviceProperties(&device, 0), "device");
    must(cudaMalloc(&delta_device, delta.size()), "memory");
    must(cudaMalloc(&table_device, MOE_RCP_TABLE_BYTES), "memory");
    must(cudaMalloc(&wrong_device, sizeof(wrong)), "memory");
    measure<<<MOE_RCP_ENTRIES / 256, 256>>>(delta_device);
    must(cudaGetLastError(), "measure");
    must(cudaMemcpy(delta.data(), delta_device, delta.size(),
                    cudaMemcpyDeviceToHost),
         "measure");
    std::vector<uint8_t> table = pack(delta, count);
    must(cudaMemcpy(table_device, table.data(), table.size(),
                    cudaMemcpyHostToDevice),
         "table");
    must(cudaMemset(wrong_device, 0, sizeof(wrong)), "verify");
    verify<<<4096, 256>>>(table_device, wrong_device);
    must(cudaGetLastError(), "verify");
    must(
        cudaMemcpy(&wrong, wrong_device, sizeof(wrong), cudaMemcpyDeviceToHost),
        "verify");
    (void)printf("exact %ld, one step up %ld, one step down %ld; of 2^32 "
                 "floats %llu differ from the table\n",
                 count[0], count[1], count[2], wrong);
    if (wrong != 0) {
        return 1;
    }
    write(argv[1], table, device);
    return 0;
}
