"""The Dask wrapper: a Dask scheduler and its workers, in this machine or in the jobs of a batch system."""
