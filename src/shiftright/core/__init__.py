"""The nouns: frozen data, no I/O. Import them from their modules."""
