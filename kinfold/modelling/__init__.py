"""Match models made, described and compared: what the command line asks of them."""
