"""Whether the server and what it stands on are well: probes, health checks, diagnosis. Not here: metrics."""
