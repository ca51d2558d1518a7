"""C++, by g++."""

COMPILATION = {
    "compiler": "g++",
    "mode": "object",
    "options": ["-O3", "-ffp-contract=off", "-fPIC", "-fopenmp"],
    "debug_options": ["-g", "-fPIC"],
    "fast_options": ["-ffast-math", "-ffp-contract=fast", "-march=native"],
    "compile_flag": "-c",
    "language_flag": "-x c++",
}

EXPORT = 'declare it extern "C": extern "C" int transform(...)'
