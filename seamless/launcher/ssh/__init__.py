"""Services on other machines, reached with the OpenSSH client: commands, tunnels, and what is brought along.

Nothing runs on the other machine between two commands but the services themselves.
"""
