# The only folder that includes mpi.h.
noinst_LTLIBRARIES += ref/mpi/librefmpi.la

ref_mpi_librefmpi_la_SOURCES =
ref_mpi_librefmpi_la_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
ref_mpi_librefmpi_la_LIBADD = $(MPI_LIBS)

EXTRA_DIST += ref/mpi/README.md
