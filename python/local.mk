# The Python package over libmoeref: built and tested by pip, not by make.
PYTHON_PACKAGE = \
  python/README.md python/pyproject.toml python/setup.py \
  python/moesim/__init__.py python/moesim/_arrays.py python/moesim/_case.py \
  python/moesim/_files.py python/moesim/_given.py python/moesim/_library.py \
  python/moesim/pytest_plugin.py \
  python/tests/test_case.py python/tests/test_given.py
EXTRA_DIST += $(PYTHON_PACKAGE) python/check_package.sh
TESTS += python/check_package.sh
