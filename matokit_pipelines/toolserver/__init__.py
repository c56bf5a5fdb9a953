"""The tool server: typed tools, served to Opal and MCP clients from the published snapshots; health, tracking, pages.

Not here: how tables are derived (warehouse/), how pages are made (reports/).
"""
