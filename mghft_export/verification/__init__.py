"""Whether graphs of another precision still do what the float32 ones do; start at `mghft-export verify`."""
