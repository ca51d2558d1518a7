"""Small helpers without state: files, directories, compression."""
