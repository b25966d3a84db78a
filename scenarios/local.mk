# Scenarios are data, installed with their folders:
# nobase_dist_pkgdata_DATA += scenarios/seeds/x.yaml
EXTRA_DIST += scenarios/README.md
