"""Local worker processes: execution of steps outside of this process. Public names: `seamless.transformer.worker`."""
