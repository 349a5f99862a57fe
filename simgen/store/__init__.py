"""The store: one folder of plain Zarr v3 and Parquet. docs/format.md is its contract."""
