# CUDA and NCCL: optional. Asked for and not found is an error.

# MOE_CHECK_CUDA
# Sets NVCC, CUDA_CPPFLAGS, CUDA_LIBS and moe_cuda (no, or the folder).
AC_DEFUN([MOE_CHECK_CUDA],
[AC_ARG_WITH([cuda],
  [AS_HELP_STRING([--with-cuda@<:@=DIR@:>@],
    [CUDA toolkit for the GPU path @<:@default: use if found@:>@])],
  [], [with_cuda=check])
AC_ARG_VAR([NVCC], [CUDA compiler])
moe_cuda=no
AS_CASE([$with_cuda],
  [no], [],
  [yes|check], [moe_cuda_path="$PATH:/usr/local/cuda/bin"],
  [moe_cuda_path="$with_cuda/bin"])
AS_IF([test "x$with_cuda" != xno],
  [AC_PATH_PROG([NVCC], [nvcc], [], [$moe_cuda_path])
   AS_IF([test -n "$NVCC"], [MOE_TRY_NVCC])])
AS_IF([test "x$moe_cuda" = xno],
  [AS_CASE([$with_cuda], [no|check], [],
    [AC_MSG_ERROR([CUDA was asked for (--with-cuda=$with_cuda), but no nvcc that compiles kernels with FP4 types (CUDA 12.8) was found])])])
AC_SUBST([CUDA_CPPFLAGS])
AC_SUBST([CUDA_LIBS])
AM_CONDITIONAL([HAVE_CUDA], [test "x$moe_cuda" != xno])
AS_IF([test "x$moe_cuda" != xno],
  [AC_DEFINE([HAVE_CUDA], [1], [Define to 1 if the CUDA toolkit is there.])])])

# MOE_TRY_NVCC
# nvcc counts as found when it compiles what gpu/*.cu are made of: CUDA 12.8.
AC_DEFUN([MOE_TRY_NVCC],
[AC_MSG_CHECKING([whether $NVCC compiles kernels with FP4 types])
AS_ECHO(["@%:@include <cuda_fp4.h>
__global__ void k(int *p) { *p = 1; }"]) > conftest.cu
AS_IF([$NVCC -arch=sm_90 -c -o conftest.cu.o conftest.cu >&AS_MESSAGE_LOG_FD 2>&1],
  [AC_MSG_RESULT([yes])
   moe_cuda=`dirname "$NVCC"`
   moe_cuda=`dirname "$moe_cuda"`
   CUDA_CPPFLAGS="-I$moe_cuda/include"
   CUDA_LIBS="-L$moe_cuda/lib64 -lcudart_static -ldl -lrt -lpthread"],
  [AC_MSG_RESULT([no])])
rm -f conftest.cu conftest.cu.o])

# MOE_CHECK_NCCL
# Sets NCCL_CPPFLAGS, NCCL_LIBS and moe_nccl; only of use with CUDA.
AC_DEFUN([MOE_CHECK_NCCL],
[AC_ARG_WITH([nccl],
  [AS_HELP_STRING([--with-nccl@<:@=DIR@:>@],
    [NCCL for the GPU path @<:@default: use if found@:>@])],
  [], [with_nccl=check])
moe_nccl=no
AS_CASE([$with_nccl], [no|yes|check], [],
  [NCCL_CPPFLAGS="-I$with_nccl/include"
   NCCL_LIBS="-L$with_nccl/lib"])
AS_IF([test "x$with_nccl" != xno],
  [moe_save_CPPFLAGS=$CPPFLAGS
   CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS $NCCL_CPPFLAGS"
   AS_IF([test "x$moe_cuda" != xno],
     [AC_CHECK_HEADER([nccl.h],
       [moe_nccl=yes
        NCCL_LIBS="$NCCL_LIBS -lnccl"])])
   CPPFLAGS=$moe_save_CPPFLAGS])
AS_IF([test "x$moe_nccl" = xno],
  [AS_CASE([$with_nccl], [no|check], [],
    [AC_MSG_ERROR([NCCL was asked for (--with-nccl=$with_nccl), but nccl.h with a working CUDA was not found])])])
AC_SUBST([NCCL_CPPFLAGS])
AC_SUBST([NCCL_LIBS])
AM_CONDITIONAL([HAVE_NCCL], [test "x$moe_nccl" != xno])])
