"""What citizens are told of: that there is news, and where to look it up. Never what it is about."""
