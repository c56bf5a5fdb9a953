"""Reading analytics services: one HTTP session, one client a service. Knows nothing of the warehouse."""
