"""The commands `seamless-service-*`: look at, stop and clear the services of a configuration, one command a module."""
