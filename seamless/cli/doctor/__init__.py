"""The command `seamless-doctor`: whether the places that a configuration names can do what it wants of them."""
