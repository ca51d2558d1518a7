"""The database server: `seamless.stores.database` behind HTTP. It adds no rule of its own about what is kept."""
