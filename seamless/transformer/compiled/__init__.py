"""Steps in compiled languages: their schema, their building, and their execution in a process of their own."""
