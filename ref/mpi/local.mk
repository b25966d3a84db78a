# The only folder that includes mpi.h.
noinst_LTLIBRARIES += ref/mpi/librefmpi.la

ref_mpi_librefmpi_la_SOURCES = \
  ref/mpi/agreement.c \
  ref/mpi/agreement.h \
  ref/mpi/agreement_compare.c \
  ref/mpi/agreement_wire.h \
  ref/mpi/backend_inside.h \
  ref/mpi/backend_ref.c \
  ref/mpi/backend_ref.h \
  ref/mpi/comm.c \
  ref/mpi/comm.h \
  ref/mpi/injection.c \
  ref/mpi/injection.def \
  ref/mpi/injection.h \
  ref/mpi/ledger.c \
  ref/mpi/ledger.h \
  ref/mpi/ref_agree.c \
  ref/mpi/carried.h \
  ref/mpi/experts.h \
  ref/mpi/ref_carried.c \
  ref/mpi/ref_carried_move.c \
  ref/mpi/ref_carried_reduce.c \
  ref/mpi/ref_collectives.c \
  ref/mpi/ref_exact.c \
  ref/mpi/ref_experts.c \
  ref/mpi/ref_gate.c \
  ref/mpi/ref_inject.c \
  ref/mpi/ref_local.c \
  ref/mpi/ref_memory.c \
  ref/mpi/ref_move.c \
  ref/mpi/ref_redo.c \
  ref/mpi/ref_reduce.c \
  ref/mpi/ref_rows.c \
  ref/mpi/ref_stamps.c \
  ref/mpi/ref_topk.c \
  ref/mpi/share.c \
  ref/mpi/version.c \
  ref/mpi/version.h \
  ref/mpi/world.c \
  ref/mpi/world.h
ref_mpi_librefmpi_la_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
ref_mpi_librefmpi_la_LIBADD = $(MPI_LIBS)

EXTRA_DIST += ref/mpi/README.md

# Suites that run as several ranks: one program, a name for each number of
# them; without an ending it is one rank, without mpirun.
MPI_TEST_LDADD = ref/mpi/librefmpi.la ref/libref.la moe/libmoe.la \
  base/libbase.la $(CHECK_LIBS) $(MPI_LIBS) $(BLAS_LIBS) $(MPFR_LIBS) \
  $(GMP_LIBS) $(JANSSON_LIBS) -lm
MPI_TEST_SOURCES = tests/mpi_support.c tests/mpi_support.h

REDUCTIONS_SOURCES = tests/check_reductions.c tests/reductions.h \
  tests/reductions_unrounded.c $(MPI_TEST_SOURCES)

MPI_SUITES = \
  tests/check_world \
  tests/check_world_2.mpi2 \
  tests/check_world_3.mpi3 \
  tests/check_world_4.mpi4 \
  tests/check_agreement_2.mpi2 \
  tests/check_agreement_3.mpi3 \
  tests/check_agreement_4.mpi4 \
  tests/check_collectives \
  tests/check_collectives_2.mpi2 \
  tests/check_collectives_3.mpi3 \
  tests/check_collectives_4.mpi4 \
  tests/check_reductions \
  tests/check_reductions_2.mpi2 \
  tests/check_reductions_3.mpi3 \
  tests/check_reductions_4.mpi4 \
  tests/check_exchange.mpi2 \
  tests/check_hops \
  tests/check_hops_4.mpi4 \
  tests/check_large_transfer.mpi2
check_PROGRAMS += $(MPI_SUITES) tests/check_injection
TESTS += $(MPI_SUITES) tests/check_injection

tests_check_injection_SOURCES = tests/check_injection.c
tests_check_injection_LDADD = $(MPI_TEST_LDADD)
tests_check_world_SOURCES = tests/check_world.c $(MPI_TEST_SOURCES)
tests_check_world_LDADD = $(MPI_TEST_LDADD)
tests_check_world_2_mpi2_SOURCES = tests/check_world.c $(MPI_TEST_SOURCES)
tests_check_world_2_mpi2_LDADD = $(MPI_TEST_LDADD)
tests_check_world_3_mpi3_SOURCES = tests/check_world.c $(MPI_TEST_SOURCES)
tests_check_world_3_mpi3_LDADD = $(MPI_TEST_LDADD)
tests_check_world_4_mpi4_SOURCES = tests/check_world.c $(MPI_TEST_SOURCES)
tests_check_world_4_mpi4_LDADD = $(MPI_TEST_LDADD)
tests_check_agreement_2_mpi2_SOURCES = tests/check_agreement.c $(MPI_TEST_SOURCES)
tests_check_agreement_2_mpi2_LDADD = $(MPI_TEST_LDADD)
tests_check_agreement_3_mpi3_SOURCES = tests/check_agreement.c $(MPI_TEST_SOURCES)
tests_check_agreement_3_mpi3_LDADD = $(MPI_TEST_LDADD)
tests_check_agreement_4_mpi4_SOURCES = tests/check_agreement.c $(MPI_TEST_SOURCES)
tests_check_agreement_4_mpi4_LDADD = $(MPI_TEST_LDADD)
tests_check_collectives_SOURCES = tests/check_collectives.c $(MPI_TEST_SOURCES)
tests_check_collectives_LDADD = $(MPI_TEST_LDADD)
tests_check_collectives_2_mpi2_SOURCES = tests/check_collectives.c $(MPI_TEST_SOURCES)
tests_check_collectives_2_mpi2_LDADD = $(MPI_TEST_LDADD)
tests_check_collectives_3_mpi3_SOURCES = tests/check_collectives.c $(MPI_TEST_SOURCES)
tests_check_collectives_3_mpi3_LDADD = $(MPI_TEST_LDADD)
tests_check_collectives_4_mpi4_SOURCES = tests/check_collectives.c $(MPI_TEST_SOURCES)
tests_check_collectives_4_mpi4_LDADD = $(MPI_TEST_LDADD)
tests_check_reductions_SOURCES = $(REDUCTIONS_SOURCES)
tests_check_reductions_LDADD = $(MPI_TEST_LDADD)
tests_check_reductions_2_mpi2_SOURCES = $(REDUCTIONS_SOURCES)
tests_check_reductions_2_mpi2_LDADD = $(MPI_TEST_LDADD)
tests_check_reductions_3_mpi3_SOURCES = $(REDUCTIONS_SOURCES)
tests_check_reductions_3_mpi3_LDADD = $(MPI_TEST_LDADD)
tests_check_reductions_4_mpi4_SOURCES = $(REDUCTIONS_SOURCES)
tests_check_reductions_4_mpi4_LDADD = $(MPI_TEST_LDADD)
tests_check_large_transfer_mpi2_SOURCES = tests/check_large_transfer.c $(MPI_TEST_SOURCES)
tests_check_large_transfer_mpi2_LDADD = $(MPI_TEST_LDADD)
tests_check_hops_SOURCES = tests/check_hops.c $(MPI_TEST_SOURCES)
tests_check_hops_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
tests_check_hops_LDADD = $(MPI_TEST_LDADD)
tests_check_hops_4_mpi4_SOURCES = tests/check_hops.c $(MPI_TEST_SOURCES)
tests_check_hops_4_mpi4_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
tests_check_hops_4_mpi4_LDADD = $(MPI_TEST_LDADD)
tests_check_exchange_mpi2_SOURCES = tests/check_exchange.c $(MPI_TEST_SOURCES)
tests_check_exchange_mpi2_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
tests_check_exchange_mpi2_LDADD = $(MPI_TEST_LDADD)
