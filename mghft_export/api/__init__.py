"""The Python API: one function or class per file. The command line calls them, too."""
