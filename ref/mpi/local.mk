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
  ref/mpi/ref_collectives.c \
  ref/mpi/ref_exact.c \
  ref/mpi/ref_experts.c \
  ref/mpi/ref_local.c \
  ref/mpi/ref_memory.c \
  ref/mpi/ref_redo.c \
  ref/mpi/ref_reduce.c \
  ref/mpi/ref_rows.c \
  ref/mpi/ref_topk.c \
  ref/mpi/share.c \
  ref/mpi/version.c \
  ref/mpi/version.h \
  ref/mpi/world.c \
  ref/mpi/world.h
ref_mpi_librefmpi_la_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
ref_mpi_librefmpi_la_LIBADD = $(MPI_LIBS)

EXTRA_DIST += ref/mpi/README.md
