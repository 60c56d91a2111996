"""The seam to the network: the bytes of URLs enter here, and every failure leaves as an `ErrorKind`."""
