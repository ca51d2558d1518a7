"""Full execution records: what is noted where a step runs, and how a record is made of it.

`mode` says whether they are wanted; `site` looks around in the process that executes; `full` makes the record, by who
keeps the result. What is known of machine and software is in `seamless.transformer.buckets`.
"""
