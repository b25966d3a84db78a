# The GPU path. Its C is part of libgpu; kernels (.cu) will be a plain static
# archive, built by nvcc, under HAVE_CUDA.
noinst_LTLIBRARIES += gpu/libgpu.la

gpu_libgpu_la_SOURCES = gpu/gpu.h gpu/gpu_stub.c

EXTRA_DIST += gpu/README.md gpu/fast_blocks.h $(CUDA_SOURCES)

# Programs by themselves, which measure the GPU at hand. Where nvcc is, make
# check compiles them: without a GPU that is all that can be held.
CUDA_SOURCES = gpu/fast_vectors.cu gpu/rcp_table.cu
CUDA_TOOLS = $(CUDA_SOURCES:.cu=)
NVCCFLAGS = -O2 -std=c++17 -arch=sm_90 --Werror all-warnings
if HAVE_CUDA
check_DATA += $(CUDA_TOOLS)
CLEANFILES += $(CUDA_TOOLS)
endif

$(CUDA_TOOLS): %: %.cu
	@$(MKDIR_P) gpu
	$(NVCC) $(NVCCFLAGS) -I$(top_srcdir) -o $@ $<
gpu/fast_vectors: gpu/fast_blocks.h
gpu/rcp_table: moe/rcp_table_file.h
