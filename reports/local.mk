noinst_LTLIBRARIES += reports/libreports.la

reports_libreports_la_SOURCES = \
  reports/check.h \
  reports/check_junit.c \
  reports/check_terminal.c \
  reports/check_words.c \
  reports/json.c \
  reports/markdown.c \
  reports/markdown_methods.c \
  reports/markdown_methods.h \
  reports/report.h \
  reports/results.c \
  reports/results.h \
  reports/results_faithful.c \
  reports/results_notes.c \
  reports/results_published.c \
  reports/results_select.c \
  reports/schema.c \
  reports/schema.def \
  reports/schema.h \
  reports/table.c \
  reports/table.h \
  reports/terminal.c \
  reports/units.c \
  reports/units.h

EXTRA_DIST += reports/README.md

TESTS += tests/check_report tests/check_report_writers
check_PROGRAMS += tests/check_report tests/check_report_writers
tests_check_report_SOURCES = tests/check_report.c
tests_check_report_LDADD = reports/libreports.la base/libbase.la \
  $(JANSSON_LIBS) $(CHECK_LIBS)
tests_check_report_writers_SOURCES = tests/check_report_writers.c
tests_check_report_writers_LDADD = $(tests_check_report_LDADD)
