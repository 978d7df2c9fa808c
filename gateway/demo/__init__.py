"""The demo: real credit data, invented people, and the story told in plain lines."""
