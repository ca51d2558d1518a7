"""Configuration: which stores and which executor are active. In this version: the embedded store only."""
