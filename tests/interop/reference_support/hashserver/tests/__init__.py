"""A package, because the tests of the reference's buffer server import their helpers relatively."""
