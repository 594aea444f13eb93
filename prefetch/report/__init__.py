"""Shows a run to people and machines. Only listens: nothing here changes what a run does."""
