"""What each word after `prefetch` does."""
