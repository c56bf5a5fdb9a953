"""The only code that opens the DuckDB file: lock, landing, ledger, models, checks, publish, snapshots.

Importing this package has no side effects and re-exports nothing.
"""
