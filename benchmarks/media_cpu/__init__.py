"""CPU of a 720p call per process, beside the codecs alone."""
