# Pages to read are installed, beside README.md.
dist_doc_DATA += \
  doc/architecture.md \
  doc/benchmarks.md \
  doc/cost-model.md \
  doc/formats.md \
  doc/golden.md \
  doc/kernel-quickstart.md \
  doc/judging.md \
  doc/numerics.md \
  doc/op.md \
  doc/ledger.md \
  doc/methods.md \
  doc/report.md \
  doc/scenario.md \
  doc/symbols.md \
  doc/trace.md

dist_man_MANS += doc/moesim.1


# A program over libmoeref; installcheck builds it.
examplesdir = $(docdir)/examples
dist_examples_DATA = doc/examples/judge_kernel.c

EXTRA_DIST += doc/README.md doc/progress.md
