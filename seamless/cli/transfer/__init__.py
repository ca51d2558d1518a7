"""The parts of `seamless-upload` and `seamless-download`: from what is named to what is moved.

The commands parse and call; here are the plans (what is to be moved), the moving itself, and the reports.
"""
