"""The way from microphone and camera to speakers, beside the engine alone."""
