"""The seam to the network: bytes of URLs come in here, and every failure leaves as an `ErrorKind`."""
