"""The helpers `rhl-*`: one command a module, each a short process on the machine of the services.

They need the standard library only, and read and print what is written in `grammar` and in the manual.
"""
