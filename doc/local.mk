EXTRA_DIST += doc/README.md doc/architecture.md doc/symbols.md
