"""Clients of the services: stores of buffers and results behind HTTP, and which of them are active.

Nothing here serves, and nothing here decides what is configured.
"""
