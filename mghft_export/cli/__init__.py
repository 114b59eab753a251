"""The command line: one file per command. The files only parse options and print results."""
