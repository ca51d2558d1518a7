"""Seamless mode: an interactive bash or zsh in which Enter puts `seamless-run` before what was typed.

`seamless-mode-bind.sh` has the keys and the prompt; `_seamlessify` rewrites a line. Neither runs anything.
"""
