# Tests of a folder are listed in that folder's local.mk; here is what they
# share, and the tests of the house itself.

TEST_EXTENSIONS = .mpi2 .mpi3 .mpi4 .mpi8 .sh .py
# A test that hangs is ended: what runs under mpirun cannot end itself.
TEST_SECONDS = 600
# Leaks of Open MPI are known by its libraries, which have no frame pointers: to
# walk their stacks takes ten times as long, so it is done where MPI is used.
if SANITIZED
WITH_MPI = env ASAN_OPTIONS=fast_unwind_on_malloc=0:$$ASAN_OPTIONS
endif
MPIRUN_TEST = $(WITH_MPI) timeout -k 10 $(TEST_SECONDS) $(MPIRUN)
MPI2_LOG_COMPILER = $(MPIRUN_TEST)
MPI3_LOG_COMPILER = $(MPIRUN_TEST)
MPI4_LOG_COMPILER = $(MPIRUN_TEST)
MPI8_LOG_COMPILER = $(MPIRUN_TEST)
AM_MPI2_LOG_FLAGS = -q -n 2
AM_MPI3_LOG_FLAGS = -q -n 3
AM_MPI4_LOG_FLAGS = -q -n 4
AM_MPI8_LOG_FLAGS = -q -n 8
SH_LOG_COMPILER = $(WITH_MPI) timeout -k 10 $(TEST_SECONDS) bash
PY_LOG_COMPILER = $(WITH_MPI) timeout -k 10 $(TEST_SECONDS) $(PYTHON)

# What Open MPI wants to run as root, on fewer cores than ranks.
AM_TESTS_ENVIRONMENT = \
  : $${MOESIM_DATA='$(abs_top_srcdir)/../shared/data'}; \
  export MOESIM_DATA; \
  OMPI_ALLOW_RUN_AS_ROOT=1; export OMPI_ALLOW_RUN_AS_ROOT; \
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM; \
  OMPI_MCA_rmaps_base_oversubscribe=1; \
  export OMPI_MCA_rmaps_base_oversubscribe; \
  OMPI_MCA_hwloc_base_binding_policy=none; \
  export OMPI_MCA_hwloc_base_binding_policy; \
  OMPI_MCA_mpi_yield_when_idle=1; export OMPI_MCA_mpi_yield_when_idle; \
  OMPI_MCA_btl_vader_single_copy_mechanism=none; \
  export OMPI_MCA_btl_vader_single_copy_mechanism; \
  : $${CK_DEFAULT_TIMEOUT=120}; export CK_DEFAULT_TIMEOUT; \
  OPENBLAS_NUM_THREADS=1; export OPENBLAS_NUM_THREADS; \
  top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
  top_builddir='$(abs_top_builddir)'; export top_builddir; \
  MOESIM='$(abs_top_builddir)/moesim$(EXEEXT)'; export MOESIM; \
  MPIRUN='$(MPIRUN)'; export MPIRUN; \
  PYTHON='$(PYTHON)'; export PYTHON; \
  CLANG_FORMAT='$(CLANG_FORMAT)'; export CLANG_FORMAT; \
  CC='$(CC)'; export CC; NM='$(NM)'; export NM; \
  PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;
if SANITIZED
AM_TESTS_ENVIRONMENT += \
  LSAN_OPTIONS=suppressions=$(abs_top_srcdir)/tests/lsan.supp:print_suppressions=0; \
  export LSAN_OPTIONS; \
  UBSAN_OPTIONS=print_stacktrace=1; export UBSAN_OPTIONS; \
  : $${CK_TIMEOUT_MULTIPLIER=5}; export CK_TIMEOUT_MULTIPLIER;
endif

# A test links $(CHECK_LIBS): Check itself and tests/support.h.
check_LTLIBRARIES += tests/libsupport.la
tests_libsupport_la_SOURCES = tests/support.c tests/support.h
CHECK_LIBS = tests/libsupport.la @CHECK_LIBS@
AM_CPPFLAGS += $(CHECK_CFLAGS)

# Rules of the source tree and of what is built from it.
HOUSE_TESTS = \
  tests/tools/check_house.py \
  tests/tools/check_includes.py \
  tests/tools/check_limits.py \
  tests/tools/check_readmes.py \
  tests/tools/check_format.sh \
  tests/tools/check_exports.sh \
  tests/tools/check_methods.sh
TESTS += $(HOUSE_TESTS)

EXTRA_DIST += $(HOUSE_TESTS) tests/tools/source_tree.py \
  tests/tools/run_page.py \
  tests/tools/count_results.sh \
  tests/README.md tests/bench/README.md tests/e2e/README.md \
  tests/tools/README.md tests/installcheck.sh tests/lsan.supp
