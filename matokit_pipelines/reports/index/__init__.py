"""The start of all pages: is all well, what is open, each dashboard and report; and copies of the whole."""
