"""The built-in compiled languages, one file each: `COMPILATION` as for `define_compiled_language`, and `EXPORT`.

Their options give the same digits on every processor: no contraction, no reordering, no tuning for one machine.
"""
