"""The thirteen readers of Matomo's web reports: from the published `web_*` tables, else from the live Matomo."""
