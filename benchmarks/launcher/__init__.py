"""How long it takes to have a service of another machine at hand, and how many logins: over a real sshd on loopback."""
