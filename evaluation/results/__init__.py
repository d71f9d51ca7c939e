"""The archive of results: every score in README and docs, with the captions that it was computed from."""
