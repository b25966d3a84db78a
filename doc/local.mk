# Pages to read are installed, beside README.md.
dist_doc_DATA += \
  doc/architecture.md \
  doc/benchmarks.md \
  doc/cost-model.md \
  doc/formats.md \
  doc/golden.md \
  doc/judging.md \
  doc/numerics.md \
  doc/ledger.md \
  doc/report.md \
  doc/scenario.md \
  doc/symbols.md \
  doc/trace.md

dist_man_MANS += doc/moesim.1


EXTRA_DIST += doc/README.md doc/progress.md
