"""Reports: pure functions from a published snapshot to numbers, then to pages, text and JSON.

Nothing here opens the warehouse, asks for the time or sends anything. Importing the package has no side effects.
"""
