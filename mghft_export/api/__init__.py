"""What programs call: one function or class a file, and the command line calls them, too."""
