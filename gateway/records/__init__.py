"""Records: what a source sends, what the catalogue lets in, and how it is kept."""
