"""Writing to Matomo: the three trackers, and the queue that keeps what they accepted until it went through."""
