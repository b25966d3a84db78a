# Libraries that moesim needs, each with the Debian package that has it.

# MOE_NEED(VARIABLE, MODULE, HEADER, DEBIAN-PACKAGE)
# A library with a pkg-config file, required. Missing ones are collected, so
# that configure names all of them at once.
AC_DEFUN([MOE_NEED],
[PKG_CHECK_MODULES([$1], [$2], [],
  [AS_VAR_APPEND([moe_missing], [" $4"])])])

# MOE_NEED_BLAS
# CBLAS from OpenBLAS, else from whatever "blas" is.
AC_DEFUN([MOE_NEED_BLAS],
[PKG_CHECK_MODULES([BLAS], [openblas], [moe_blas=openblas],
  [PKG_CHECK_MODULES([BLAS], [blas], [moe_blas=blas],
    [moe_blas=no
     AS_VAR_APPEND([moe_missing], [" libopenblas-dev"])])])
AS_VAR_IF([moe_blas], [no], [],
  [moe_save_LIBS=$LIBS
   moe_save_CPPFLAGS=$CPPFLAGS
   LIBS="$BLAS_LIBS $LIBS"
   CPPFLAGS="$BLAS_CFLAGS $CPPFLAGS"
   AC_MSG_CHECKING([for cblas_dgemm in $BLAS_LIBS])
   AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cblas.h>]],
     [[cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 0, 0, 0, 0.0,
                   0, 1, 0, 1, 0.0, 0, 1);]])],
     [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      AS_VAR_APPEND([moe_missing], [" libopenblas-dev"])])
   AC_CHECK_FUNC([openblas_set_num_threads],
     [AC_DEFINE([HAVE_OPENBLAS], [1],
       [Define to 1 if the BLAS is OpenBLAS.])])
   LIBS=$moe_save_LIBS
   CPPFLAGS=$moe_save_CPPFLAGS])])

# MOE_NEED_MPI
# Open MPI's own pkg-config file, else what the compiler wrapper says.
AC_DEFUN([MOE_NEED_MPI],
[PKG_CHECK_MODULES([MPI], [ompi-c], [moe_mpi="Open MPI (pkg-config)"],
  [AC_PATH_PROGS([MPICC], [mpicc])
   AS_IF([test -z "$MPI_LIBS" && test -n "$MPICC"],
     [MPI_CFLAGS=`$MPICC --showme:compile 2>/dev/null`
      MPI_LIBS=`$MPICC --showme:link 2>/dev/null`])
   AS_IF([test -n "$MPI_LIBS"], [moe_mpi=$MPICC],
     [AS_VAR_APPEND([moe_missing], [" libopenmpi-dev"])])])
AC_PATH_PROGS([MPIRUN], [mpirun mpiexec])
AS_IF([test -z "$MPIRUN"],
  [AS_VAR_APPEND([moe_missing], [" openmpi-bin"])])])

# MOE_NEED_RANDOM123
AC_DEFUN([MOE_NEED_RANDOM123],
[AC_CHECK_HEADER([Random123/philox.h], [],
  [AS_VAR_APPEND([moe_missing], [" librandom123-dev"])])])
