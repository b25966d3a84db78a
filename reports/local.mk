noinst_LTLIBRARIES += reports/libreports.la

reports_libreports_la_SOURCES =

EXTRA_DIST += reports/README.md
