"""From a command line to a Plan: what it reads, what it writes, and the text of the bash transformation.

Never hashes, stores or runs anything. Parsing a plain command line imports nothing but `os`.
"""
