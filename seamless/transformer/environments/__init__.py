"""What a step asks to have around it: commands, a conda environment, a container image. Checked before it runs.

`resolved` finds it and says in one message what is missing; `conda` and `container` turn it into a command line;
`isolated` has Python and compiled steps executed there by `child`, in a process of their own.
"""
