"""HTTP faces of the stores: servers that speak the protocols of the services, thin over `seamless.stores`."""
