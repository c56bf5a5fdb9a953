"""The outermost layer and the only one that imports Dagster: the graph, and running it. Nothing is re-exported.

No logic lives here: an asset takes what it needs, calls the library, and says what happened.
"""
