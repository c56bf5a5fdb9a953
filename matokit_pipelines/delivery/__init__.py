"""Telling people: what is to be told leaves through here. Nothing is re-exported.

Not here: what is worth telling (orchestration).
"""
