"""What `seamless-run` does with a planned command line: identity, look-up, execution, delivery, reports.

`command` is the order of things; each other module is one of them. Analysing the line is not done here.
"""
