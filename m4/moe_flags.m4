# Compiler flags that are used only where the compiler takes them.

# MOE_APPEND_FLAGS(VARIABLE, FLAGS)
# Append each flag that the C compiler takes without a warning.
AC_DEFUN([MOE_APPEND_FLAGS],
[for moe_flag in $2; do
  AS_VAR_PUSHDEF([moe_cache], [moe_cv_flag_$moe_flag])
  AC_CACHE_CHECK([whether $CC takes $moe_flag], [moe_cache],
    [moe_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS -Werror $moe_flag"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM],
       [AS_VAR_SET([moe_cache], [yes])],
       [AS_VAR_SET([moe_cache], [no])])
     CFLAGS=$moe_save_CFLAGS])
  AS_VAR_IF([moe_cache], [yes], [AS_VAR_APPEND([$1], [" $moe_flag"])])
  AS_VAR_POPDEF([moe_cache])
done
AC_SUBST([$1])])

# MOE_REQUIRE_EXACT_FLOATS
# Refuse flags of the user that change floating-point results.
AC_DEFUN([MOE_REQUIRE_EXACT_FLOATS],
[AC_MSG_CHECKING([that CFLAGS keep IEEE arithmetic])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#if defined(__FAST_MATH__) || defined(__FINITE_MATH_ONLY__) && \
    __FINITE_MATH_ONLY__ != 0
#error fast math
#endif
#include <float.h>
#if FLT_EVAL_METHOD != 0
#error excess precision
#endif
]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([moesim's results are defined to the bit: build it without -ffast-math, -Ofast and excess precision (on x86: -mfpmath=sse -msse2)])])])
