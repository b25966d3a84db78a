# The GPU path. Its C is part of libgpu; kernels (.cu) will be a plain static
# archive, built by nvcc, under HAVE_CUDA.
noinst_LTLIBRARIES += gpu/libgpu.la

gpu_libgpu_la_SOURCES = gpu/gpu.h gpu/gpu_stub.c

EXTRA_DIST += gpu/README.md gpu/fast_blocks.h gpu/fast_vectors.cu gpu/rcp_table.cu
