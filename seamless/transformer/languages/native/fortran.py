"""Fortran, by gfortran."""

COMPILATION = {
    "compiler": "gfortran",
    "mode": "object",
    "options": ["-O3", "-ffp-contract=off", "-fno-automatic", "-fcray-pointer", "-fPIC"],
    "debug_options": ["-g", "-fPIC"],
    "fast_options": ["-ffast-math", "-ffp-contract=fast", "-march=native"],
    "compile_flag": "-c",
    "language_flag": "-x f95",
}

EXPORT = "write: integer(c_int) function transform(...) bind(C, name='transform')"
