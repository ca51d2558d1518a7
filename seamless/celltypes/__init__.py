"""The 17 celltypes: from Python values to exact bytes and back."""
