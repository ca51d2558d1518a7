"""What the tests of the reference's Dask package begin with, played by this package. The rest of it is not here."""
