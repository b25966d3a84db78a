# Data as they are found at run time: unpacked, installed with their folder.
nobase_nodist_pkgdata_DATA += data/rcp_sm90.table
EXTRA_DIST += data/README.md data/rcp_sm90.table.xz
CLEANFILES += data/rcp_sm90.table

# xz is one way to unpack, Python's module another.
data/rcp_sm90.table: data/rcp_sm90.table.xz
	$(AM_V_GEN)$(MKDIR_P) data && { \
	  xz -dc $(srcdir)/data/rcp_sm90.table.xz || \
	  python3 -c 'import lzma, sys; sys.stdout.buffer.write( \
	    lzma.open(sys.argv[1]).read())' $(srcdir)/data/rcp_sm90.table.xz; \
	} >$@.part && mv $@.part $@
